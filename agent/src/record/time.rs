//! Times as records write them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Now, ns since 1970; 0 where the clock stands before that.
#[must_use]
pub fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// RFC 3339, UTC, always nine digits of a second: as text, such times sort as they follow one another.
#[must_use]
pub fn rfc3339(time_ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(time_ns)).map(|time| format!("{time:.9}")).unwrap_or_default() // every i64 of nanoseconds is a time that jiff knows; the test walks both ends
}

/// Back to ns since 1970. `None` where it is no time.
#[must_use]
pub fn nanoseconds(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_written_in_full_and_read_back() {
        for time_ns in [i64::MIN, -1, 0, 1_767_323_045_678_901_234, 1_767_323_045_000_000_000, i64::MAX] {
            let text = rfc3339(time_ns);
            assert_eq!(text.split('.').next_back().map(str::len), Some(10), "{text}");
            assert_eq!(nanoseconds(&text), Some(time_ns), "{text}");
        }
        assert_eq!(rfc3339(1_767_323_045_678_901_234), "2026-01-02T03:04:05.678901234Z");
        assert_eq!(nanoseconds("yesterday"), None);
    }
}
