//! What is known of a place in records: which values stood there, and which stands there next.
//!
//! A *column* is such a place: `process.exe`, each element of `process.argv`, the names of the members of `process`. Before a
//! value is told anew, five are asked that it could be: those that followed the last values, anywhere in the record or in this
//! column, and the last one itself. Then its place among those of the column, the newest first.

use std::collections::HashMap;

use super::super::Flaw;
use super::coder::{Chance, Coder};
use super::numbers::Sizes;

/// Places in records, of all sorts of them.
const COLUMNS_MAX: usize = 1 << 12;
/// So many values of a column are remembered.
const RECENT: usize = 1_024;
const GUESSES: usize = 5;
/// How often a guess was right before counts up to this.
const SURE: u8 = 2;
const SLOTS: usize = 1 << 15;
/// No value.
const NONE: u32 = u32::MAX;

/// What names of columns are hashes with.
const MEMBER: u64 = 7;
const NAMES: u64 = 77;
const ELEMENT: u64 = 78;

/// How a new value is told.
pub(super) const KINDS: usize = 8;
/// How far a number was from what was expected, by each way to expect it.
pub(super) const BASES: usize = 5;

/// A place in records.
#[derive(Debug)]
pub(super) struct Column {
    /// A hash of its name, for what it has in common with others of that name.
    pub(super) name: u64,
    hits: [[Chance; SURE as usize + 2]; GUESSES],
    known: Chance,
    rank: Option<Box<Sizes>>,
    pub(super) kind: [Chance; KINDS],
    pub(super) number: Option<Box<Numbers>>,
    /// Its values, the newest last.
    recent: Vec<u32>,
    last: [u32; 2],
    /// The columns of what is in it: the names of its members together, its elements, and each member by name.
    names: Option<usize>,
    element: Option<usize>,
    members: HashMap<Vec<u8>, usize>,
    /// Whether there is a first one, and one more.
    pub(super) more: [Chance; 2],
}

/// Of a column with numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) sizes: Sizes,
    pub(super) fraction: [Chance; 16],
    pub(super) last: i64,
    /// Time of the record that had it.
    pub(super) time: i64,
    pub(super) costs: [u32; BASES],
}

impl Numbers {
    pub(super) fn new() -> Self {
        let sizes = Sizes::new();
        Self { sizes, fraction: [Chance::EVEN; 16], last: 0, time: 0, costs: [0; BASES] }
    }
}

impl Column {
    fn new(name: u64) -> Self {
        Self {
            name,
            hits: [[Chance::EVEN; SURE as usize + 2]; GUESSES],
            known: Chance::SELDOM,
            rank: None,
            kind: [Chance::EVEN; KINDS],
            number: None,
            recent: Vec::new(),
            last: [NONE; 2],
            names: None,
            element: None,
            members: HashMap::new(),
            more: [Chance::EVEN; 2],
        }
    }
}

/// What followed something.
#[derive(Clone, Copy, Debug)]
struct Slot {
    check: u32,
    value: u32,
    sure: u8,
}

/// A value that it could be, and how sure that is.
#[derive(Clone, Copy, Debug)]
struct Guess {
    value: u32,
    sure: u8,
}

/// What is asked, and where the answer is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    keys: [u64; 4],
    guesses: [Option<Guess>; GUESSES],
    before: [u32; 2],
}

/// All columns.
#[derive(Debug)]
pub(super) struct Columns {
    all: Vec<Column>,
    slots: Vec<Slot>,
    /// The last values, wherever.
    before: [u32; 2],
}

/// A hash of two.
fn mix(one: u64, other: u64) -> u64 {
    let mixed = (one ^ other.wrapping_mul(0xff51_afd7_ed55_8ccd)).rotate_left(29);
    mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Columns {
    pub(super) fn new() -> Self {
        let slots = vec![Slot { check: 0, value: NONE, sure: 0 }; SLOTS];
        Self { all: vec![Column::new(0)], slots, before: [NONE; 2] }
    }

    /// The column of all names of an object.
    pub(super) fn names(&mut self, object: usize) -> Result<usize, Flaw> {
        let own = self.get(object)?;
        if let Some(names) = own.names {
            return Ok(names);
        }
        let names = mix(NAMES, own.name);
        let names = self.add(names)?;
        self.get(object)?.names = Some(names);
        Ok(names)
    }

    /// The column of the elements of an array.
    pub(super) fn element(&mut self, array: usize) -> Result<usize, Flaw> {
        let own = self.get(array)?;
        if let Some(element) = own.element {
            return Ok(element);
        }
        let element = mix(ELEMENT, own.name);
        let element = self.add(element)?;
        self.get(array)?.element = Some(element);
        Ok(element)
    }

    /// The column of a member of an object.
    pub(super) fn member(&mut self, object: usize, name: &[u8]) -> Result<usize, Flaw> {
        if let Some(member) = self.get(object)?.members.get(name) {
            return Ok(*member);
        }
        let member = self.add(name.iter().fold(MEMBER, |hash, byte| mix(hash, u64::from(*byte))))?;
        self.get(object)?.members.insert(name.to_vec(), member);
        Ok(member)
    }

    /// A new column.
    fn add(&mut self, name: u64) -> Result<usize, Flaw> {
        if self.all.len() >= COLUMNS_MAX {
            return Err(Flaw::Large);
        }
        self.all.push(Column::new(name));
        Ok(self.all.len() - 1)
    }

    pub(super) fn get(&mut self, column: usize) -> Result<&mut Column, Flaw> {
        self.all.get_mut(column).ok_or(Flaw::Coded)
    }

    /// A record begins: what stood before it says nothing of it.
    pub(super) fn begin(&mut self) {
        self.before = [NONE; 2];
    }

    /// What could stand there next.
    pub(super) fn ask(&mut self, column: usize) -> Result<Asked, Flaw> {
        let before = self.before;
        let own = self.get(column)?;
        let ([one, two], [last, other]) = (before.map(u64::from), own.last.map(u64::from));
        let (place, newest) = (column as u64, own.last[0]);
        let keys = [
            mix(mix(mix(1, one), two), place),
            mix(mix(mix(2, one), 0), own.name),
            mix(mix(mix(3, last), other), place),
            mix(mix(4, last), place),
        ];
        let slot = |key: &u64| self.slots.get(slot(*key)).filter(|slot| slot.check == check(*key));
        let found = keys.iter().filter_map(slot).map(|slot| Guess { value: slot.value, sure: slot.sure + 1 });
        let found = found.chain([Guess { value: newest, sure: 0 }]);
        let (mut guesses, mut many) = ([None::<Guess>; GUESSES], 0);
        for guess in found.filter(|guess| guess.value != NONE) {
            let is_there = guesses.iter().flatten().any(|other| other.value == guess.value);
            if !is_there && let Some(free) = guesses.get_mut(many) {
                *free = Some(guess);
                many += 1;
            }
        }
        Ok(Asked { keys, guesses, before })
    }

    /// Which of the values that are known stands there. `is`: whether it is that one; `told`: which it is, if it is known at all.
    pub(super) fn known<C: Coder>(
        &mut self,
        coder: &mut C,
        (column, asked): (usize, &Asked),
        is: impl Fn(u32) -> bool,
        told: impl FnOnce() -> Option<u32>,
    ) -> Result<Option<u32>, Flaw> {
        let own = self.get(column)?;
        for (guess, hits) in asked.guesses.iter().zip(&mut own.hits) {
            let Some(guess) = guess else { break };
            let Some(chance) = hits.get_mut(usize::from(guess.sure)) else { break };
            if coder.bit(chance, C::WRITES && is(guess.value)) {
                return Ok(Some(guess.value));
            }
        }
        if own.recent.is_empty() {
            return Ok(None);
        }
        let told = if C::WRITES { told() } else { None };
        let rank = told.and_then(|value| own.recent.iter().rev().position(|recent| *recent == value));
        if !coder.bit(&mut own.known, rank.is_some()) {
            return Ok(None);
        }
        let sizes = own.rank.get_or_insert_with(|| Box::new(Sizes::new()));
        let rank = sizes.number(coder, rank.and_then(|rank| i64::try_from(rank).ok()).unwrap_or(0));
        let found = usize::try_from(rank).ok().and_then(|rank| own.recent.iter().rev().nth(rank));
        found.copied().map(Some).ok_or(Flaw::Coded)
    }

    /// This one stands there. Whether it is the first time, as far as is remembered.
    pub(super) fn took(&mut self, column: usize, asked: &Asked, value: u32) -> Result<bool, Flaw> {
        for key in asked.keys {
            let Some(slot) = self.slots.get_mut(slot(key)) else { continue };
            let check = check(key);
            let sure = if slot.check == check && slot.value == value { (slot.sure + 1).min(SURE) } else { 0 };
            *slot = Slot { check, value, sure };
        }
        self.before = [value, asked.before[0]];
        let own = self.get(column)?;
        own.last = [value, own.last[0]];
        let at = own.recent.iter().rposition(|recent| *recent == value);
        if let Some(at) = at {
            own.recent.remove(at);
        } else if own.recent.len() >= RECENT {
            own.recent.remove(0);
        }
        own.recent.push(value);
        Ok(at.is_none())
    }
}

fn slot(key: u64) -> usize {
    usize::try_from(key >> 40).unwrap_or(0) & (SLOTS - 1)
}

fn check(key: u64) -> u32 {
    u32::try_from(key & u64::from(u32::MAX)).unwrap_or(0)
}
