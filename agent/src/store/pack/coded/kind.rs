//! How a value is told that stands in a place for the first time.

use super::columns::KINDS;
use super::json::{unquoted, uuid};
use super::numbers::Form;

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
            ([b'"', ..], None) if uuid(unquoted(value)).is_some() => Self::Uuid,
            ([b'"', ..], None) => Self::Text,
            _ => Self::Literal,
        }
    }
}
