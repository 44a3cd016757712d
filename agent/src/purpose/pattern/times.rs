//! When a purpose holds: hours of the week, and an end.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::purpose::Fault;

/// The zones that were built in: those of the host may differ from host to host, and reading them is I/O.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES: u16 = 24 * 60;

/// Hours of some days of the week, by the clocks of a time zone.
#[derive(Clone, Debug)]
pub(in crate::purpose) struct Window {
    /// By number in `DAYS`.
    days: [bool; 7],
    /// Minutes of the day. Where `to` is not later, it is one of the next day.
    from: u16,
    to: u16,
    zone: TimeZone,
}

impl Window {
    /// `mon-fri 01:00-05:00 Europe/Amsterdam`; without days every day, without a zone UTC.
    pub(in crate::purpose) fn parse(text: &str) -> Result<Self, Fault> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (days, hours, zone) = match words.as_slice() {
            [hours] => (None, hours, None),
            [hours, zone] if is_hours(hours) => (None, hours, Some(*zone)),
            [days, hours] => (Some(*days), hours, None),
            [days, hours, zone] => (Some(*days), hours, Some(*zone)),
            _ => return Err("is no time, as in `mon-fri 01:00-05:00 UTC`".into()),
        };
        let days = days.map_or(Ok([true; 7]), self::days)?;
        let (from, to) = hours.split_once('-').ok_or("has no hours, as in `01:00-05:00`")?;
        let minute = |text| {
            minute(text).ok_or_else(|| Fault(format!("has `{text}` where an hour belongs, as in `05:30`")))
        };
        let (from, to) = (minute(from)?, minute(to)?);
        if from == to || from == MINUTES {
            return Err("has hours that are none, or unclear: a whole day is `00:00-24:00`".into());
        }
        let zone = match zone {
            None | Some("UTC") => TimeZone::UTC,
            Some(name) => ZONES.get(name).map_err(|_| {
                Fault(format!("has `{name}`, which is no time zone, as in `Europe/Amsterdam`"))
            })?,
        };
        Ok(Window { days, from, to, zone })
    }

    pub(in crate::purpose) fn holds(&self, at: Timestamp) -> bool {
        let there = at.to_zoned(self.zone.clone());
        let today = usize::from(there.weekday().to_monday_zero_offset().unsigned_abs());
        let on = |day: usize| self.days.get(day % 7).copied().unwrap_or(false);
        let number = |part: i8| u16::from(part.unsigned_abs());
        let minute = number(there.hour()) * 60 + number(there.minute());
        if self.from < self.to {
            return on(today) && (self.from..self.to).contains(&minute);
        }
        // Over midnight: it belongs to the day on which it begins.
        (on(today) && minute >= self.from) || (on(today + 6) && minute < self.to)
    }
}

fn is_hours(word: &str) -> bool {
    word.contains(':') && word.contains('-')
}

fn days(text: &str) -> Result<[bool; 7], Fault> {
    let mut days = [false; 7];
    if text == "daily" {
        return Ok([true; 7]);
    }
    let number = |name: &str| DAYS.iter().position(|day| *day == name);
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            return Err(Fault(format!("has `{part}` where days belong, as in `mon`, `mon-fri` or `daily`")));
        };
        // `sat-mon` goes over the end of the week.
        let mut day = from;
        loop {
            days.iter_mut().skip(day).take(1).for_each(|on| *on = true);
            if day == to {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(days)
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        text.parse::<u16>().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (minute < 60 && hour * 60 + minute <= MINUTES).then_some(hour * 60 + minute)
}

/// The moment at which a purpose ends: of a day, when it is over everywhere that counts in UTC.
pub(in crate::purpose) fn expiry(text: &str) -> Result<Timestamp, Fault> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let day: Date =
        text.parse().map_err(|_| "is neither a day, as in `2026-12-31`, nor a time with its offset")?;
    let next = day.tomorrow().map_err(|_| "is too far away")?;
    let at = next.to_zoned(TimeZone::UTC).map_err(|_| "is too far away")?;
    Ok(at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(window: &str, at: &str) -> bool {
        Window::parse(window).unwrap().holds(at.parse().unwrap())
    }

    #[test]
    fn hours_of_the_week() {
        // 2026-01-02 is a Friday.
        for (window, at, is) in [
            ("01:00-05:00", "2026-01-02T01:00:00Z", true),
            ("01:00-05:00", "2026-01-02T04:59:59Z", true),
            ("01:00-05:00", "2026-01-02T05:00:00Z", false),
            ("01:00-05:00", "2026-01-02T00:59:59Z", false),
            ("mon-thu 01:00-05:00 UTC", "2026-01-02T02:00:00Z", false),
            ("sat-mon 00:00-24:00", "2026-01-04T23:59:59Z", true),
            ("sat-mon 00:00-24:00", "2026-01-02T23:59:59Z", false),
            ("fri 22:00-06:00", "2026-01-02T23:00:00Z", true),
            ("fri 22:00-06:00", "2026-01-03T05:59:00Z", true),
            ("fri 22:00-06:00", "2026-01-02T05:59:00Z", false),
            ("fri 22:00-06:00", "2026-01-03T06:00:00Z", false),
            ("sun 22:00-06:00", "2026-01-05T05:00:00Z", true),
            ("daily 01:00-05:00 Europe/Amsterdam", "2026-01-02T00:30:00Z", true),
            ("daily 01:00-05:00 Europe/Amsterdam", "2026-07-02T00:30:00Z", true),
            ("daily 01:00-05:00 Europe/Amsterdam", "2026-01-02T03:30:00Z", true),
            ("daily 01:00-05:00 Europe/Amsterdam", "2026-07-02T03:30:00Z", false),
            ("01:00-05:00 Europe/Amsterdam", "2026-01-02T00:30:00Z", true),
        ] {
            assert_eq!(holds(window, at), is, "{window} {at}");
        }
    }

    #[test]
    fn mistakes() {
        for bad in [
            "",
            "mon",
            "mon 5",
            "25:00-26:00",
            "01:00-24:01",
            "01:60-02:00",
            "1:00-2:00",
            "24:00-01:00",
            "03:00-03:00",
            "mon-fri 01:00-05:00 Mars/Olympus",
            "funday 01:00-05:00",
            "mon 01:00-05:00 UTC x",
            "a b c d",
            "01:00 05:00",
        ] {
            assert!(Window::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ends() {
        assert_eq!(expiry("2026-12-31").unwrap().to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(expiry("2026-12-31T12:00:00+01:00").unwrap().to_string(), "2026-12-31T11:00:00Z");
        for bad in ["", "soon", "2026-13-01", "2026-02-30", "31.12.2026"] {
            assert!(expiry(bad).is_err(), "{bad}");
        }
    }
}
