//! What a sink's loop and its receivers say to each other.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::encodings::Item;
use crate::store::StoreError;

/// Longest text of a receiver's that is kept as a reason.
const REASON_MAX: usize = 300;

/// One way to hand records over. Called from threads where waiting is allowed.
pub(super) trait Deliver: Send {
    /// Hands over records, in their order: all, or as many of the first as go at once.
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome;

    /// Whether something may be lost after it was taken, so that [`Deliver::check`] is called while there is nothing to do.
    fn watches(&self) -> bool {
        false
    }

    /// Sees to it that what was taken arrives.
    fn check(&mut self) -> Result<(), DeliverError> {
        Ok(())
    }

    /// The last call: everything is handed over.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The receiver has it.
    Taken,
    /// The receiver will never take it, and says why.
    Refused(String),
    /// Not this time.
    Again,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Of the records, in their order. Those beyond the end were not tried.
    pub(super) fates: Vec<Fate>,
    /// Why the rest has to wait. Without it, it is tried at once.
    pub(super) failure: Option<Failure>,
}

/// Why records have to wait.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: DeliverError,
    /// The receiver said how long.
    pub(super) after: Option<Duration>,
    /// Nobody will ever read there again.
    pub(super) closed: bool,
}

/// What went wrong between a sink and its receiver.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliverError {
    /// The operating system.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What it said.
        #[source]
        error: io::Error,
    },
    /// A file the sink needs: a certificate, a key, a token.
    #[error("{what}")]
    Material {
        /// Which, and what is wrong with it. Never its content.
        what: String,
    },
    /// No answer over HTTP.
    #[error("{url}: {error}")]
    Http {
        /// Who was asked.
        url: String,
        /// What came instead.
        #[source]
        error: Box<ureq::Error>,
    },
    /// An answer that is no success.
    #[error("{url} answered {status}: {text}")]
    Status {
        /// Who answered.
        url: String,
        /// With what.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// No connection, or a broken one.
    #[error("{url}: {}", causes(.error.as_ref()))]
    Connection {
        /// Who was to be spoken to.
        url: String,
        /// What happened.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer over gRPC that is no success.
    #[error("{url} answered {code:?}: {text}")]
    Grpc {
        /// Who answered.
        url: String,
        /// With what.
        code: tonic::Code,
        /// The beginning of what it said.
        text: String,
    },
    /// A broker of Kafka says no.
    #[error("{broker}: {what}")]
    Kafka {
        /// Which.
        broker: String,
        /// To what, and with which error of the protocol.
        what: String,
    },
    /// An answer that is none by the rules of the protocol.
    #[error("{url} answered what its protocol does not allow: {text}")]
    Protocol {
        /// Who answered.
        url: String,
        /// What is wrong.
        text: String,
    },
}

impl DeliverError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| DeliverError::Io { what, error }
    }
}

/// An error with what is behind it, each once: what lies in front often says no more than that there is something.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

/// Why a sink could not go on at the moment.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    /// The store.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// The receiver.
    #[error("{}", .0.why)]
    Deliver(Failure),
}

impl Outcome {
    /// Every record is taken.
    pub(super) fn taken(count: usize) -> Self {
        Self { fates: vec![Fate::Taken; count], failure: None }
    }

    /// The first are taken, the rest has to wait.
    pub(super) fn failed(taken: usize, why: DeliverError) -> Self {
        let failure = Failure { why, after: None, closed: false };
        Self { fates: vec![Fate::Taken; taken], failure: Some(failure) }
    }
}

/// Foreign text as a reason: short, and harmless on a terminal.
pub(super) fn reason(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= REASON_MAX {
            out.push('…');
            break;
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out.trim().to_owned()
}
