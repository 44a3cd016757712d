//! Has anybody touched what a receiver has? Without the host, from its records alone.

mod lines;
mod sorted;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use self::sorted::Sorted;
use super::head::{Head, Mark, SignedHead};
use super::heads::{HeadError, Heads};
use super::note::PublicKey;
use crate::record::{View, stamped};

/// Why what was received could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ReceivedError {
    /// A file.
    #[error("cannot read {}: {io}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: io::Error,
    },
    /// The database in which records are put in order.
    #[error("cannot put the records in order (TMPDIR names the directory for that): {0}")]
    Sort(#[from] rusqlite::Error),
    /// The first thing that does not fit.
    #[error("host {host}, record {seq}: {why}")]
    Broken {
        /// `host.id`.
        host: String,
        /// Number of the record.
        seq: u64,
        /// What does not fit.
        why: Misfit,
    },
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// There are two of it.
    #[error("there are two records of this number that differ")]
    Twice,
    /// The record after it says that another one was here.
    #[error("it was changed, or put in: record {0} came after another one")]
    Changed(u64),
    /// It says that another record came before it.
    #[error("it was changed: it does not go on where the head before it ended")]
    First,
    /// A head signed for other records.
    #[error(
        "it is a head, and was signed for other records than those before it: one at least from {0} on was changed"
    )]
    Signed(u64),
    /// It is a head, and does not stand.
    #[error("it is a head: {0}")]
    Head(#[from] HeadError),
    /// Fewer came than were signed for.
    #[error(
        "it is a head, and {missing} of the {records} records that it signs for, {first} to {last}, are not here"
    )]
    Missing {
        /// How many.
        missing: u64,
        /// Of so many.
        records: u64,
        /// The first number that it signs for.
        first: u64,
        /// The last.
        last: u64,
    },
    /// A head is not here.
    #[error("it is a head, and goes on after record {0}: what was signed before that is not here")]
    HeadMissing(u64),
}

/// What is known of one host's records.
#[derive(Clone, Debug)]
pub struct OfHost {
    /// `host.id`.
    pub host: String,
    /// How many there are.
    pub records: u64,
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// How many were signed for, and are as they were then.
    pub proven: u64,
    /// How many were signed for together with others that are not here.
    pub incomplete: u64,
    /// Records that were signed for and are not here.
    pub missing: u64,
    /// Records after the last head.
    pub unsigned: u64,
    /// The heads.
    pub heads: Heads,
}

/// What a receiver has.
#[derive(Debug)]
pub struct Received {
    sorted: Sorted,
    hosts: Vec<OfHost>,
}

/// How it is looked at.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// Heads must be by one of these, or by keys that these vouch for. Empty: by the key of the first head.
    pub keys: Vec<PublicKey>,
    /// The sink has a filter: that records are missing is no misfit.
    pub filtered: bool,
}

impl Received {
    /// Reads files of what a receiver has; `-` is standard input. Order does not matter, repetitions are counted.
    ///
    /// # Errors
    /// [`ReceivedError::Broken`] names the first record that does not fit.
    pub fn verify(paths: &[PathBuf], how: &How) -> Result<Self, ReceivedError> {
        let mut sorted = Sorted::new()?;
        for path in paths {
            if path == Path::new("-") {
                sorted.read(path, &mut io::stdin().lock())?;
                continue;
            }
            let file = File::open(path).map_err(|io| ReceivedError::File { path: path.clone(), io })?;
            sorted.read(path, &mut BufReader::new(file))?;
        }
        Self::of(sorted, how)
    }

    /// As [`Received::verify`], of what is in memory.
    ///
    /// # Errors
    /// [`ReceivedError`]
    pub fn verify_bytes(mut bytes: &[u8], how: &How) -> Result<Self, ReceivedError> {
        let mut sorted = Sorted::new()?;
        sorted.read(Path::new("-"), &mut bytes)?;
        Self::of(sorted, how)
    }

    fn of(sorted: Sorted, how: &How) -> Result<Self, ReceivedError> {
        if let Some((host, seq)) = sorted.conflict.clone() {
            return Err(ReceivedError::Broken { host, seq, why: Misfit::Twice });
        }
        let hosts = sorted.hosts()?.iter().map(|host| walk(&sorted, host, how)).collect::<Result<_, _>>()?;
        Ok(Self { sorted, hosts })
    }

    /// Each host.
    #[must_use]
    pub fn hosts(&self) -> &[OfHost] {
        &self.hosts
    }

    /// Records that came more than once.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.sorted.repeated
    }

    /// Lines that prove nothing: no native records, and no heads.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.sorted.others
    }

    /// Notes of heads that came in other schemas than the native one. Nothing is known of who signed them.
    ///
    /// # Errors
    /// [`ReceivedError::Sort`]
    pub fn notes(&self) -> Result<Vec<String>, ReceivedError> {
        self.sorted.notes()
    }

    /// Shows each record of a host, in their order.
    ///
    /// # Errors
    /// What `see` says, and [`ReceivedError::Sort`].
    pub fn each<E: From<ReceivedError>>(
        &self,
        host: &str,
        see: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.sorted.each(host, 0, u64::MAX, see)
    }
}

fn walk(sorted: &Sorted, host: &str, how: &How) -> Result<OfHost, ReceivedError> {
    let (first, last, records) = sorted.count(host, 0, u64::MAX)?.unwrap_or_default();
    let heads = Heads::new(how.keys.clone());
    let (proven, incomplete, missing, unsigned) = (0, 0, 0, records);
    let host = host.to_owned();
    let mut of = OfHost { host, records, first, last, proven, incomplete, missing, unsigned, heads };
    for body in sorted.heads(&of.host)? {
        // What is no record is not sorted in.
        let Ok(view) = View::parse(&body) else { continue };
        segment(sorted, &mut of, &view, how)?;
    }
    let signed = of.heads.last().map_or(0, |head| head.end.seq);
    let after = sorted.count(&of.host, signed, u64::MAX)?.map_or(0, |(.., count)| count);
    if let Some(head) = of.heads.last() {
        after_heads(sorted, &of.host, head.end)?;
    }
    // The last head itself stands behind what it signs for.
    of.unsigned = after.saturating_sub(u64::from(signed != 0));
    Ok(of)
}

/// What one head signs for.
fn segment(sorted: &Sorted, of: &mut OfHost, view: &View, how: &How) -> Result<(), ReceivedError> {
    let broken = |host: &str, why| ReceivedError::Broken { host: host.to_owned(), seq: view.seq(), why };
    let seen = of.heads.see(view).map(|(head, follows)| (head.clone(), follows));
    let (head, follows) = seen.map_err(|why| broken(&of.host, why.into()))?;
    let Head { since, end, records, .. } = &head;
    if !follows && !how.filtered {
        return Err(broken(&of.host, Misfit::HeadMissing(since.seq)));
    }
    let (first, _, here) = sorted.count(&of.host, since.seq, end.seq)?.unwrap_or((end.seq + 1, end.seq, 0));
    if here == *records {
        chain(sorted, &of.host, &head, view.seq())?;
        of.proven += here;
        return Ok(());
    }
    // A receiver may have begun to listen in the middle of the first one. What comes after that is linked record by record.
    let begins = of.heads.count() == 1 && first == of.first && tail(sorted, &of.host, first, &head)?;
    if begins {
        of.proven += here;
        return Ok(());
    }
    let missing = records.saturating_sub(here);
    if !how.filtered {
        let (first, last) = (since.seq + 1, end.seq);
        return Err(broken(&of.host, Misfit::Missing { missing, records: *records, first, last }));
    }
    of.incomplete += here;
    of.missing += missing;
    Ok(())
}

/// From one head to the next, record by record.
fn chain(sorted: &Sorted, host: &str, head: &Head, at: u64) -> Result<(), ReceivedError> {
    let broken = |seq, why| ReceivedError::Broken { host: host.to_owned(), seq, why };
    let mut mark = head.since;
    sorted.each(host, head.since.seq, head.end.seq, |seq, body| {
        if stamped(body) != Some(mark.hash) {
            let first = mark == head.since;
            return Err(if first {
                broken(seq, Misfit::First)
            } else {
                broken(mark.seq, Misfit::Changed(seq))
            });
        }
        mark = mark.then(seq, body);
        Ok(())
    })?;
    if mark != head.end {
        return Err(broken(at, Misfit::Signed(head.since.seq + 1)));
    }
    Ok(())
}

/// Whether the records from `first` on lead to a head without a gap, each by its own word of the one before.
fn tail(sorted: &Sorted, host: &str, first: u64, head: &Head) -> Result<bool, ReceivedError> {
    let mut mark: Option<Mark> = None;
    let mut fits = true;
    sorted.each::<ReceivedError>(host, first - 1, head.end.seq, |seq, body| {
        let prev = stamped(body);
        fits &= mark.is_none_or(|mark| Some(mark.hash) == prev);
        let before = Mark { seq: 0, hash: prev.unwrap_or(Mark::NONE.hash) };
        mark = Some(before.then(seq, body));
        Ok(())
    })?;
    Ok(fits && mark == Some(head.end))
}

/// Records after the last head: nobody signed for them, but each says what came before it. Where numbers are missing, they may
/// still be on their way.
fn after_heads(sorted: &Sorted, host: &str, end: Mark) -> Result<(), ReceivedError> {
    let mut mark = Some(end);
    sorted.each(host, end.seq, u64::MAX, |seq, body| {
        let Some(last) = mark else { return Ok(()) };
        if stamped(body) == Some(last.hash) {
            mark = Some(last.then(seq, body));
        } else if seq == last.seq + 1 {
            let why = Misfit::Changed(seq);
            return Err(ReceivedError::Broken { host: host.to_owned(), seq: last.seq, why });
        } else {
            mark = None;
        }
        Ok(())
    })
}

/// Whether one of these keys signed a head.
#[must_use]
pub fn is_signed(signed: &SignedHead<'_>, keys: &[PublicKey]) -> bool {
    keys.iter().any(|key| signed.note.is_by(key))
}
