//! What the inventory is asked before it learns more: whether something is habit.

use super::entry::Towards;
use super::{Account, Holding, Inventory};
use crate::action::ActionDeed;

/// A host that an action reaches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name, where one is known, else its address: what `destinations` has.
    pub name: String,
    /// Its address.
    pub address: String,
    /// An earlier action told of the same connection.
    pub again: bool,
}

/// Which host an action reaches for.
#[must_use]
pub fn host_of(deed: &ActionDeed) -> Option<Host> {
    let towards = Towards::of(deed)?;
    let (name, address) = towards.host();
    Some(Host { name, address, again: towards.again })
}

impl Inventory {
    /// A service account, by its id.
    #[must_use]
    pub fn actor(&self, id: &str) -> Option<&Account> {
        self.actors.get(id)
    }

    /// Every service account.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.actors.values()
    }

    /// A credential, by its id.
    #[must_use]
    pub fn holding(&self, id: &str) -> Option<&Holding> {
        self.credentials.get(id)
    }

    /// Every credential.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.credentials.values()
    }

    /// Since when the host is watched, ns since 1970.
    #[must_use]
    pub fn since_ns(&self) -> i64 {
        self.since_ns
    }

    /// How many of anything an entry has room for.
    #[must_use]
    pub fn each(&self) -> usize {
        self.limits.each
    }
}
