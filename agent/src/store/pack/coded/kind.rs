//! How a value is told that stands in a place for the first time.

use super::columns::KINDS;
use super::numbers::Form;
use crate::hex;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Whole,
    Decimal,
    Time,
    Text,
    Uuid,
    Literal,
}

impl Kind {
    pub(super) const ALL: [Self; KINDS] = [
        Self::Object,
        Self::Array,
        Self::Whole,
        Self::Decimal,
        Self::Time,
        Self::Text,
        Self::Uuid,
        Self::Literal,
    ];

    /// `number`: what it is as one.
    pub(super) fn of(value: &[u8], number: Option<(Form, i64)>) -> Self {
        match (value, number) {
            ([b'{', ..], _) => Self::Object,
            ([b'[', ..], _) => Self::Array,
            (_, Some((Form::Whole, _))) => Self::Whole,
            (_, Some((Form::Decimal(_), _))) => Self::Decimal,
            (_, Some((Form::Time, _))) => Self::Time,
            ([b'"', ..], None) if uuid(value).is_some() => Self::Uuid,
            ([b'"', ..], None) => Self::Text,
            _ => Self::Literal,
        }
    }
}

/// The bytes of a UUID in small digits and quotes.
pub(super) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let digits = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    (digits.len() == 36 && [8, 13, 18, 23].iter().all(|at| digits.get(*at) == Some(&b'-'))).then_some(())?;
    let digits: Vec<u8> = digits.iter().copied().filter(|byte| *byte != b'-').collect();
    let (mut bytes, large) = ([0; 16], digits.iter().any(u8::is_ascii_uppercase));
    (!large && hex::decode(&digits, &mut bytes)).then_some(bytes)
}
