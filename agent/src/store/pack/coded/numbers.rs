//! Numbers: how they stand in a text, and how far they are from one that was expected.

use std::io::Write as _;

use super::coder::{Chance, Coder};
use super::json::unquoted;
use crate::record::{nanoseconds, rfc3339};

/// A number of more digits may not fit.
const DIGITS_MAX: usize = 18;
/// Most digits behind the point.
pub(super) const FRACTION_MAX: usize = 9;
/// Most zeros at the end that are coded as such.
const TENS: usize = 9;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// With so many digits behind the point. The number is without it.
    Decimal(usize),
    /// A time in UTC, in quotes, with nine digits behind the second. The number is of nanoseconds since 1970.
    Time,
}

/// A number, if it is written as [`put`] would write it.
pub(super) fn parse(text: &[u8]) -> Option<(Form, i64)> {
    let (form, number) = match text {
        [b'"', ..] => (Form::Time, time(text)?),
        [b'0'..=b'9', ..] => match text.iter().position(|byte| *byte == b'.') {
            None => (Form::Whole, digits(text)?),
            Some(point) => decimal(text, point)?,
        },
        _ => return None,
    };
    let mut again = Vec::with_capacity(text.len());
    put(&mut again, form, number);
    (again == text).then_some((form, number))
}

fn digits(text: &[u8]) -> Option<i64> {
    (!text.is_empty() && text.len() <= DIGITS_MAX).then_some(())?;
    text.iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn decimal(text: &[u8], point: usize) -> Option<(Form, i64)> {
    let (whole, fraction) = (digits(text.get(..point)?)?, text.get(point + 1..)?);
    (fraction.len() <= FRACTION_MAX).then_some(())?;
    let number = whole.checked_mul(tens(fraction.len()))?.checked_add(digits(fraction)?)?;
    Some((Form::Decimal(fraction.len()), number))
}

/// Nanoseconds since 1970 of a time in quotes.
fn time(text: &[u8]) -> Option<i64> {
    // As long as records write it: most texts are none.
    (text.len() == 32).then_some(())?;
    nanoseconds(str::from_utf8(unquoted(text)).ok()?)
}

fn tens(power: usize) -> i64 {
    (0..power).fold(1, |tens, _| tens * 10)
}

/// Writes a number.
pub(super) fn put(out: &mut Vec<u8>, form: Form, number: i64) {
    // A vector takes everything.
    let _ = match form {
        Form::Whole => write!(out, "{number}"),
        Form::Decimal(fraction) => {
            let one = tens(fraction);
            write!(out, "{}.{:0fraction$}", number.div_euclid(one), number.rem_euclid(one))
        }
        Form::Time => write!(out, "\"{}\"", rfc3339(number)),
    };
}

/// How large numbers are, learned from those before.
#[derive(Debug)]
pub(super) struct Sizes {
    /// How many bits they have.
    bits: [Chance; 64],
    /// Of numbers of so many bits, those behind the first.
    first: [[Chance; 8]; 64],
    sign: Chance,
    /// Whether there is one more zero at the end.
    tens: [Chance; TENS],
}

impl Sizes {
    pub(super) fn new() -> Self {
        Self {
            bits: [Chance::EVEN; 64],
            first: [[Chance::EVEN; 8]; 64],
            sign: Chance::EVEN,
            tens: [Chance::EVEN; TENS],
        }
    }

    /// One number, which is not the least of all.
    pub(super) fn number(&mut self, coder: &mut impl Coder, number: i64) -> i64 {
        let (mut size, mut zeros) = (number.unsigned_abs(), 0);
        while zeros < TENS && size >= 10 && size % 10 == 0 {
            (size, zeros) = (size / 10, zeros + 1);
        }
        let bits =
            coder.symbol(&mut self.bits, usize::try_from(64 - size.leading_zeros()).unwrap_or(0).min(63));
        let Some(first) = self.first.get_mut(bits).filter(|_| bits > 0) else { return 0 };
        let negative = coder.bit(&mut self.sign, number < 0);
        let mut tens = 1_u64;
        for (at, more) in self.tens.iter_mut().enumerate() {
            if !coder.bit(more, at < zeros) {
                break;
            }
            tens *= 10;
        }
        let below = bits - 1;
        let coded = below.min(3);
        let mut node = 1;
        for bit in (below - coded..below).rev() {
            let Some(chance) = first.get_mut(node & 7) else { break };
            node = node << 1 | usize::from(coder.bit(chance, size >> bit & 1 == 1));
        }
        let rest = u32::try_from(below - coded).unwrap_or(0);
        let size = (node as u64) << rest | coder.plain(rest, size);
        let size = size.wrapping_mul(tens).cast_signed();
        if negative { size.wrapping_neg() } else { size }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::coder::{Reader, Writer};
    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec((-(1_i64 << 62)..1_i64 << 62, 0..63_u32, 0..4_usize), 0..40)) {
            let numbers: Vec<i64> = numbers.into_iter().map(|(number, less, zeros)| {
                (number >> less).checked_mul(tens(zeros)).unwrap_or(number)
            }).collect();
            let (mut writer, mut sizes) = (Writer::behind(Vec::new()), Sizes::new());
            numbers.iter().for_each(|number| assert_eq!(sizes.number(&mut writer, *number), *number));
            let bytes = writer.finish();
            let (mut reader, mut sizes) = (Reader::new(&bytes), Sizes::new());
            let read: Vec<i64> = numbers.iter().map(|_| sizes.number(&mut reader, 0)).collect();
            prop_assert_eq!(read, numbers);
        }

        #[test]
        fn whatever_is_parsed_is_written_again(text in "[0-9]{1,20}(\\.[0-9]{0,10})?|\"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z\"") {
            if let Some((form, number)) = parse(text.as_bytes()) {
                let mut again = Vec::new();
                put(&mut again, form, number);
                prop_assert_eq!(again, text.into_bytes());
            }
        }

        #[test]
        fn any_number_is_written_in_any_form(number: i64, fraction in 1..=FRACTION_MAX) {
            for form in [Form::Whole, Form::Decimal(fraction), Form::Time] {
                put(&mut Vec::new(), form, number);
            }
        }
    }

    #[test]
    fn numbers_are_parsed_as_they_are_written() {
        let is = |text: &str| parse(text.as_bytes());
        assert_eq!(is("0"), Some((Form::Whole, 0)));
        assert_eq!(is("140742961380"), Some((Form::Whole, 140_742_961_380)));
        assert_eq!(is("13215.664"), Some((Form::Decimal(3), 13_215_664)));
        assert_eq!(is("0.050"), Some((Form::Decimal(3), 50)));
        assert_eq!(is("\"1970-01-01T00:00:00.000000001Z\""), Some((Form::Time, 1)));
        assert_eq!(is("\"2024-02-29T23:59:59.999999999Z\""), Some((Form::Time, 1_709_251_199_999_999_999)));
        for other in [
            "",
            "-1",
            "01",
            "00",
            "1.",
            ".5",
            "1e3",
            "1234567890123456789",
            "1.1234567890",
            "null",
            "\"7\"",
            "\"2023-02-29T00:00:00.000000000Z\"",
            "\"2026-01-01T24:00:00.000000000Z\"",
            "\"2026-01-01T00:00:00.00000000Z\"",
            "\"2026-01-01t00:00:00.000000000Z\"",
            "12345678901234567.123456789",
        ] {
            assert_eq!(is(other), None, "{other}");
        }
    }
}
