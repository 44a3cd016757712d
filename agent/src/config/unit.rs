//! Durations and sizes as people write them.

use std::time::Duration;

/// Units of time, longest first, in seconds.
const TIME: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
/// Units of size, in bytes.
const SIZE: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// `15m`, `14d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let (_, seconds) = TIME.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*seconds).map(Duration::from_secs)
}

/// `2GiB`, `500 MB`.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let (_, bytes) = SIZE.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)
}

/// A size as people write it, in the largest unit of 1024 that it is a whole number of.
pub(super) fn named(bytes: u64) -> String {
    let fits = |unit: u64| unit <= bytes && bytes.is_multiple_of(unit);
    let (name, unit) = ["TiB", "GiB", "MiB", "KiB"]
        .into_iter()
        .zip([1_u64 << 40, 1 << 30, 1 << 20, 1 << 10])
        .find(|(_, unit)| fits(*unit))
        .unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        for (text, seconds) in
            [("30s", 30), ("15m", 900), ("2h", 7200), ("14d", 1_209_600), ("1w", 604_800), ("0s", 0)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for (text, bytes) in
            [("1KiB", 1024), ("2 GiB", 2 << 30), ("1kb", 1000), ("7B", 7), ("3TB", 3_000_000_000_000)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn what_they_should_not() {
        for text in
            ["", "5", "m", "-1d", "1.5h", "1h30m", "1y", "99999999999999999999s", "18446744073709551615w"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["", "5", "GiB", "1 X", "18446744073709551615GiB", "1GiBs"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
