//! What is known of a live process.

use super::super::attempts::{Command, Started};
use super::super::holds::Holds;
use super::super::reaching::Reaching;
use super::super::serving::{Serving, Unit};
use crate::action::ActionId;

/// A live process. Most of them hold nothing and serve nobody, so that what they might have is beside it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) run: u64,
    /// Number of the chain that counts it among its processes.
    pub(super) counted_in: u64,
    /// What it executed last, and the record of that.
    pub(super) command: Option<Command>,
    pub(super) executed: Option<ActionId>,
    /// It executed, opened or connected.
    pub(super) acted: bool,
    more: Option<Box<More>>,
}

/// What few processes have.
#[derive(Debug)]
pub(super) struct More {
    pub(super) holds: Holds,
    /// What its children did in vain.
    pub(super) started: Option<Box<Started>>,
    /// Connections it asked for lately.
    pub(super) reaching: Option<Box<Reaching>>,
    /// Connections it accepted.
    pub(super) serving: Option<Box<Serving>>,
    /// The connection its maker served when it was made.
    pub(super) within: Option<Unit>,
}

impl More {
    const NOTHING: Self =
        Self { holds: Holds::NONE, started: None, reaching: None, serving: None, within: None };
}

static NOTHING: More = More::NOTHING;

impl Member {
    pub(super) const fn of(run: u64) -> Self {
        Self { run, counted_in: 0, command: None, executed: None, acted: false, more: None }
    }

    /// What it has, which may be nothing.
    pub(super) fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, where it has anything.
    pub(super) fn any(&mut self) -> Option<&mut More> {
        self.more.as_deref_mut()
    }

    /// The same, to add to it.
    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_with(|| Box::new(More::NOTHING))
    }
}
