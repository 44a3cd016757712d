//! Keys of the kernel's key rings.

use spoor_wire::Key;
use spoor_wire::body::{KEY_ADD, KEY_FIND, KEY_READ, KEY_UPDATE};

use super::Text;

/// A key as the kernel knows it. Its payload is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelKey {
    /// Its number.
    pub serial: u32,
    /// Whose it is.
    pub owner: u32,
    /// The rule that matched.
    pub rule: u32,
    /// Name of its type: `user`, `logon`, …
    pub kind: Text,
    /// What it is called; written by whoever made it.
    pub description: Text,
}

impl KernelKey {
    pub(super) fn of(fixed: &Key, kind: Text, description: Text) -> Self {
        KernelKey { serial: fixed.serial, owner: fixed.owner, rule: fixed.rule, kind, description }
    }
}

/// What a process did with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyWay {
    /// Had its payload copied to it.
    Read,
    /// Found it by its name.
    Find,
    /// Made it, or gave it its first payload.
    Add,
    /// Gave it another payload.
    Update,
}

impl KeyWay {
    /// The way of that number.
    pub(super) fn of(number: u32) -> Option<Self> {
        match number {
            KEY_READ => Some(KeyWay::Read),
            KEY_FIND => Some(KeyWay::Find),
            KEY_ADD => Some(KeyWay::Add),
            KEY_UPDATE => Some(KeyWay::Update),
            _ => None,
        }
    }

    /// The name used in records, as `how`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            KeyWay::Read => "copy",
            KeyWay::Find => "find",
            KeyWay::Add => "add",
            KeyWay::Update => "update",
        }
    }
}
