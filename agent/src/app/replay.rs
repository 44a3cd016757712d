//! `spoor replay`: the records of a capture, made again.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::wiring::REDACTION;
use crate::capture::{CaptureError, End, Header, Tail};
use crate::credential::redact;
use crate::pipeline::replay::{Account, Replay, Replayed};
use crate::record::Record;
use crate::store::{Retention, STATE_FILE, Store};

/// Records that are stored in one transaction, about.
const BATCH: usize = 4_096;
/// Longest that a store of a replay keeps: for good.
const FOR_GOOD: Retention = Retention { keep: Duration::MAX, max_bytes: u64::MAX };

/// Where the records go.
pub enum To {
    /// A line each.
    Lines(Box<dyn Write>),
    /// A store of their own, which must not be there yet.
    Store(PathBuf),
}

/// What a replay is of, and what came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Of which host and agent.
    pub header: Header,
    /// What came of it.
    pub account: Account,
}

impl Outcome {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Header { agent_version, kernel, host, .. } = &self.header;
        let Account { inputs, events, records, heads, heads_agree, differs_before, unanswered, tail } =
            self.account;
        let mut text = format!(
            "captured by spoor {agent_version} on {}, kernel {}, boot {}\n  \
             {inputs} inputs, {events} of them events; {records} records\n  ",
            redact::printable(host.name.as_bytes()),
            redact::printable(kernel.as_bytes()),
            redact::printable(host.boot_id.as_bytes()),
        );
        text += &match (heads, differs_before) {
            (0, _) => "no head was captured that could be compared with".to_owned(),
            (_, None) => format!("{heads_agree} of {heads} heads were signed for exactly these records"),
            (_, Some(seq)) => {
                format!("DIFFERS from what was recorded: the head up to record {seq} is not of these records")
            }
        };
        text += &match tail {
            Some(Tail::End(End::Stopped)) => "\n  whole, up to the agent's end\n".to_owned(),
            Some(Tail::End(End::Full)) => {
                "\n  CUT: the file was as long as it may be, and the agent went on\n".to_owned()
            }
            Some(Tail::Cut(bytes)) => {
                format!("\n  CUT: it has no end; {bytes} bytes of an unfinished frame are left out\n")
            }
            None => String::new(),
        };
        if unanswered > 0 {
            text += &format!("  {unanswered} questions were asked that the capture has no answer to\n");
        }
        text
    }

    /// Whether it is what the agent made that captured, as far as anybody can tell: to its end, every question answered, and
    /// every head signed for these records.
    #[must_use]
    pub fn whole(&self) -> bool {
        let Account { differs_before, unanswered, tail, .. } = self.account;
        differs_before.is_none() && unanswered == 0 && tail == Some(Tail::End(End::Stopped))
    }
}

/// Why a replay ends early.
#[derive(Debug)]
enum Ended {
    Capture(CaptureError),
    Failure(Failure),
}

impl From<CaptureError> for Ended {
    fn from(error: CaptureError) -> Self {
        Ended::Capture(error)
    }
}

/// Replays a capture.
///
/// # Errors
/// [`Failure::Capture`] where it cannot be read to its end: the records before that are made.
pub fn run(path: &Path, to: To) -> Result<Outcome, Failure> {
    let failed = |error| Failure::Capture { path: path.to_owned(), error };
    let file = File::open(path).map_err(|error| failed(error.into()))?;
    let mut replay = Replay::open(BufReader::new(file), REDACTION).map_err(failed)?;
    let played = match to {
        To::Lines(out) => lines(&mut replay, out),
        To::Store(directory) => store(&mut replay, &directory),
    };
    match played {
        Ok(account) => Ok(Outcome { header: replay.header().clone(), account }),
        Err(Ended::Capture(error)) => Err(failed(error)),
        Err(Ended::Failure(failure)) => Err(failure),
    }
}

fn lines<R: std::io::Read>(replay: &mut Replay<R>, out: Box<dyn Write>) -> Result<Account, Ended> {
    let mut out = BufWriter::new(out);
    let account = replay.play(|records: &[Replayed]| {
        let mut write = || {
            for record in records {
                out.write_all(&record.stamped)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        };
        write().map_err(|error| Ended::Failure(Failure::system("write the records")(error)))
    });
    let flushed = out.flush().map_err(|error| Ended::Failure(Failure::system("write the records")(error)));
    account.and_then(|account| flushed.map(|()| account))
}

fn store<R: std::io::Read>(replay: &mut Replay<R>, directory: &Path) -> Result<Account, Ended> {
    if directory.join(STATE_FILE).exists() {
        return Err(Ended::Failure(Failure::StoreThere(directory.to_owned())));
    }
    let failed = |error| Ended::Failure(Failure::Store(error));
    let mut store = Store::open(directory, FOR_GOOD).map_err(failed)?;
    let mut waiting: Vec<Record> = Vec::new();
    let account = replay.play(|records: &[Replayed]| {
        waiting.extend(records.iter().map(|replayed| replayed.record.clone()));
        if waiting.len() >= BATCH {
            store.append(&waiting).map_err(failed)?;
            store.pack(true).map_err(failed)?;
            waiting.clear();
        }
        Ok(())
    });
    store.append(&waiting).map_err(failed)?;
    store.pack_all().map_err(failed)?;
    store.seal().map_err(failed)?;
    account
}
