//! What numbers are near to: times to the time of their record, delays to how long ago the record was that it follows from.

use std::collections::HashMap;

use super::columns::{BASES, Numbers};
use super::numbers::{self, Form};

/// What numbers of a record are compared with.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The first time and the first whole number that are new in this record: when it was, and which it is.
    time: i64,
    number: i64,
    is_timed: bool,
    is_numbered: bool,
    /// The last whole number, and time.
    last: [i64; 2],
    /// By the name of its column.
    of_name: HashMap<u64, i64>,
    /// When each record was.
    times: HashMap<i64, i64>,
    /// The first number of the last list: records that one follows from.
    listed: i64,
}

impl Clock {
    /// A record begins.
    pub(super) fn begin(&mut self) {
        (self.is_timed, self.is_numbered) = (false, false);
    }

    /// It ends.
    pub(super) fn end(&mut self) {
        self.times.insert(self.number, self.time);
    }

    /// A value stands there, whether it is new or not.
    pub(super) fn took(&mut self, value: &[u8]) {
        if let Some(listed) = listed(value) {
            self.listed = listed;
        }
    }

    /// What a number could be near to.
    pub(super) fn expected(&self, own: &Numbers, form: Form, name: u64) -> [i64; BASES] {
        let since = self.time.wrapping_sub(own.time);
        let of_name = self.of_name.get(&name).copied().unwrap_or(0);
        match form {
            // A delay after the record that it follows from, mostly in milliseconds.
            Form::Decimal(digits) => {
                let ago = self.times.get(&self.listed).map_or(0, |then| self.time.wrapping_sub(*then));
                let unit = (digits..6).fold(1, |unit, _| unit * 10);
                [0, own.last, ago / unit, own.last, own.last]
            }
            Form::Whole => [own.last, self.last[0], own.last.wrapping_add(since), self.number, of_name],
            Form::Time => [own.last, self.last[1], own.last.wrapping_add(since), self.time, of_name],
        }
    }

    /// A new number.
    pub(super) fn was(&mut self, own: &mut Numbers, form: Form, name: u64, number: i64) {
        (own.last, own.time) = (number, self.time);
        self.of_name.insert(name, number);
        match form {
            Form::Whole => {
                self.last[0] = number;
                if !std::mem::replace(&mut self.is_numbered, true) {
                    self.number = number;
                }
            }
            Form::Time => {
                self.last[1] = number;
                if !std::mem::replace(&mut self.is_timed, true) {
                    (self.time, own.time) = (number, number);
                }
            }
            Form::Decimal(_) => {}
        }
    }
}

/// The number that a list begins with.
fn listed(value: &[u8]) -> Option<i64> {
    let list = value.strip_prefix(b"[")?;
    let many = list.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match numbers::parse(list.get(..many)?)? {
        (Form::Whole, number) => Some(number),
        _ => None,
    }
}
