//! Connections whose outcome is not known yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;

use super::holds::{Here, Linked};
use super::{Acted, ChainId, RunId};
use crate::action::{Action, ActionId};
use crate::credential::Credential;
use crate::event::SampleId;
use crate::purpose::Digest;

/// A connection that was asked for, as things were then.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// With outcome pending.
    pub(super) action: Action,
    pub(super) linked: Linked,
    pub(super) here: Here,
    pub(super) run: u64,
    pub(super) run_id: RunId,
    pub(super) chain: ChainId,
    /// What the destination hands out, where it is a source of credentials.
    pub(super) endpoint: Option<Arc<Credential>>,
    /// Names that the host was told for the destination.
    pub(super) heard: Vec<Arc<str>>,
    /// SHA-256 of the program, where it was known.
    pub(super) digest: Option<Digest>,
}

/// One that was told as established: what was told is shared with the note, and the rest is as of when it was asked for.
#[derive(Debug)]
pub(super) struct Nameless {
    pub(super) told: Arc<Acted>,
    /// It is told together with others.
    pub(super) waited: bool,
    pub(super) here: Here,
    pub(super) endpoint: Option<Arc<Credential>>,
    pub(super) heard: Vec<Arc<str>>,
    pub(super) digest: Option<Digest>,
}

impl Nameless {
    /// As it was when its outcome became known, to tell more of it.
    fn asked(self) -> Asked {
        let Self { told, waited: _, here, endpoint, heard, digest } = self;
        let Acted { chain, run: run_id, action, credentials, link, attempt, judged, request, together: _ } =
            Arc::unwrap_or_clone(told);
        let linked = Linked { attempt, request, link, credentials, handed_out: false, judged };
        Asked { action, linked, here, run: here.run, run_id, chain, endpoint, heard, digest }
    }
}

/// Connections waiting for their outcome, in the order in which they were asked for, and those already reported without.
#[derive(Debug, Default)]
pub(super) struct Connections {
    waiting: BTreeMap<ActionId, (SampleId, Box<Asked>)>,
    numbers: HashMap<SampleId, ActionId>,
    reported: BTreeMap<ActionId, (SampleId, Box<Asked>)>,
    reported_numbers: HashMap<SampleId, ActionId>,
    /// Established, and still without a name that the client itself said.
    nameless: BTreeMap<ActionId, (SampleId, Box<Nameless>)>,
    nameless_numbers: HashMap<SampleId, ActionId>,
}

/// An answer to a connection.
#[derive(Debug)]
pub(super) enum Answered {
    /// It was waited for.
    InTime(Box<Asked>),
    /// It had been reported as pending.
    Late(Box<Asked>),
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn ask(&mut self, sample: SampleId, asked: Box<Asked>) {
        let id = asked.action.id;
        self.numbers.insert(sample, id);
        self.waiting.insert(id, (sample, asked));
    }

    /// Remembers one that was reported as pending, for its late answer. At most `most`: the oldest is forgotten first.
    pub(super) fn remember(&mut self, sample: SampleId, asked: Box<Asked>, most: usize) {
        if self.reported.len() >= most
            && let Some((_, (oldest, _))) = self.reported.pop_first()
        {
            self.reported_numbers.remove(&oldest);
        }
        let id = asked.action.id;
        self.reported_numbers.insert(sample, id);
        self.reported.insert(id, (sample, asked));
    }

    pub(super) fn answer(&mut self, sample: SampleId) -> Option<Answered> {
        if let Some(id) = self.numbers.remove(&sample) {
            return self.waiting.remove(&id).map(|(_, asked)| Answered::InTime(asked));
        }
        let id = self.reported_numbers.remove(&sample)?;
        self.reported.remove(&id).map(|(_, asked)| Answered::Late(asked))
    }

    /// Remembers one that is established, in case the client says the name of whom it speaks to. At most `most`: the
    /// oldest is forgotten first.
    pub(super) fn established(&mut self, sample: SampleId, nameless: Nameless, most: usize) {
        if self.nameless.len() >= most
            && let Some((_, (oldest, _))) = self.nameless.pop_first()
        {
            self.nameless_numbers.remove(&oldest);
        }
        let id = nameless.told.action.id;
        self.nameless_numbers.insert(sample, id);
        self.nameless.insert(id, (sample, Box::new(nameless)));
    }

    /// Takes one whose client has said a name, and tells whether it is told together with others.
    pub(super) fn spoke(&mut self, sample: SampleId) -> Option<(Asked, bool)> {
        let id = self.nameless_numbers.remove(&sample)?;
        self.nameless.remove(&id).map(|(_, nameless)| {
            let waited = nameless.waited;
            (nameless.asked(), waited)
        })
    }

    /// When the one waiting for longest was asked for.
    pub(super) fn oldest_ns(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(_, (_, asked))| asked.action.time_ns)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<(SampleId, Box<Asked>)> {
        let (_, (sample, asked)) = self.waiting.pop_first()?;
        self.numbers.remove(&sample);
        Some((sample, asked))
    }

    /// All of one chain, in the order in which they were asked for.
    pub(super) fn take_of(&mut self, chain: ChainId) -> Vec<(SampleId, Box<Asked>)> {
        let ids: Vec<ActionId> =
            self.waiting.iter().filter(|(_, (_, asked))| asked.chain == chain).map(|(id, _)| *id).collect();
        let mut taken = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some((sample, asked)) = self.waiting.remove(&id) {
                self.numbers.remove(&sample);
                taken.push((sample, asked));
            }
        }
        taken
    }
}
