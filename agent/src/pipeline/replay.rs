//! A captured stream through the same desk, on any host.

use std::io::Read;
use std::sync::Arc;

use super::{Desk, Outside};
use crate::capture::{CaptureError, Frames, Header, Input, Tail, Told};
use crate::record::{Record, Redaction, next_hash, stamp};
use crate::telemetry::Ledger;

/// A capture that is being replayed.
#[derive(Debug)]
pub struct Replay<R> {
    header: Header,
    frames: Frames<R>,
    desk: Desk<Told, Told>,
    ledger: Arc<Ledger>,
    account: Account,
    last_ns: u64,
    closed: bool,
}

/// What came of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Inputs, events among them.
    pub inputs: u64,
    /// Events.
    pub events: u64,
    /// Records that were made.
    pub records: u64,
    /// Heads: the agent that captured had signed for all records before them.
    pub heads: u64,
    /// Heads whose hash is that of the replayed records.
    pub heads_agree: u64,
    /// The first head that is not: up to which record it was signed for.
    pub differs_before: Option<u64>,
    /// Questions to which the capture has no answer.
    pub unanswered: u64,
    /// What is behind the last input.
    pub tail: Option<Tail>,
}

/// A record as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// As it was made.
    pub record: Record,
    /// With the hash of the one before it.
    pub stamped: Vec<u8>,
}

impl<R: Read> Replay<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`CaptureError`]
    pub fn open(from: R, redaction: Redaction) -> Result<Self, CaptureError> {
        let (header, frames) = Frames::open(from)?;
        let told = frames.told();
        let ledger = Arc::new(Ledger::default());
        let outside = Outside { describer: told.clone(), host: told.clone(), digests: told };
        let desk = Desk::of(&header, outside, redaction, Arc::clone(&ledger));
        let account = Account::default();
        Ok(Replay { header, frames, desk, ledger, account, last_ns: 0, closed: false })
    }

    /// What holds for all of it.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was counted in the stages.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Plays it to its end. A capture that is cut ends where it does: then chains are closed at its last moment.
    ///
    /// # Errors
    /// [`CaptureError`] where it cannot be read further, behind the records of what could; and whatever `each` says.
    pub fn play<E: From<CaptureError>>(
        &mut self,
        mut each: impl FnMut(&[Replayed]) -> Result<(), E>,
    ) -> Result<Account, E> {
        let mut hash = self.header.before;
        loop {
            let input = self.frames.next_input()?;
            let is_last = input.is_none();
            // Whoever was killed closed nothing.
            let Some(input) = input.or((!self.closed).then_some(Input::Closed { time_ns: self.last_ns }))
            else {
                break;
            };
            let mut made = Vec::new();
            self.count(&input, &hash);
            self.desk.take(&input, &mut Vec::new(), &mut made);
            let replayed: Vec<Replayed> = made
                .into_iter()
                .map(|record| {
                    let stamped = stamp(&record.body, &hash);
                    hash = next_hash(&hash, &stamped);
                    Replayed { record, stamped }
                })
                .collect();
            self.account.records += u64::try_from(replayed.len()).unwrap_or(u64::MAX);
            if !replayed.is_empty() {
                each(&replayed)?;
            }
            if is_last {
                break;
            }
        }
        self.account.unanswered = self.frames.told().missing();
        self.account.tail = self.frames.tail();
        Ok(self.account)
    }

    fn count(&mut self, input: &Input<'_>, hash: &[u8; 32]) {
        self.account.inputs += 1;
        match input {
            Input::Event { event, .. } => {
                self.account.events += 1;
                self.last_ns = self.last_ns.max(event.time_ns);
            }
            Input::Closed { time_ns } => {
                self.closed = true;
                self.last_ns = self.last_ns.max(*time_ns);
            }
            Input::Head { head, .. } => {
                self.account.heads += 1;
                if head.hash == crate::hex::encode(hash) {
                    self.account.heads_agree += 1;
                } else {
                    self.account.differs_before.get_or_insert(head.seq);
                }
            }
            Input::RecalledFinding(_)
            | Input::Recalled(_)
            | Input::RecalledAll
            | Input::Scan { .. }
            | Input::Purposes { .. }
            | Input::Findings(_)
            | Input::Coverage { .. }
            | Input::Gap { .. }
            | Input::Beat { .. } => {}
        }
    }
}
