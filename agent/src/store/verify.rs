//! Has anybody touched the evidence?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::At as _;
use super::period::{self, Mark, number, signed};
use super::{Hash, StoreError, hash, state};
use crate::record::View;

/// What verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Records that are kept.
    pub records: u64,
    /// Number of the first of them; 0 where there is none.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Hash of the last.
    pub hash: Hash,
    /// Numbers between them that no record has: records that could not be stored when the disk was full.
    pub missing: u64,
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It, or one before it, was changed, removed, moved or put in.
    #[error("its hash does not follow from the record before it")]
    Hash,
    /// It is not what the store finds it by.
    #[error("the store finds it by another `{0}` than it has")]
    Index(&'static str),
    /// Its file does not go on where the one before it ends.
    #[error("its file does not go on where the one before it ended")]
    Start,
    /// No record.
    #[error("it is no record")]
    NoRecord,
}

/// Why a store does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The first record that does not fit.
    #[error("record {seq} in {}: {why}", path.display())]
    Broken {
        /// Its file.
        path: PathBuf,
        /// Its number.
        seq: u64,
        /// What does not fit.
        why: Mismatch,
    },
    /// Records end before where dropped files had already been.
    #[error("{}: everything after record {seq} is gone", path.display())]
    Gone {
        /// The directory.
        path: PathBuf,
        /// The last number that is known to have been.
        seq: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a store, from the oldest record kept to the newest. Changes nothing; may run beside the daemon.
///
/// # Errors
/// [`VerifyError::Broken`] names the first record that does not fit.
pub fn verify(dir: &Path) -> Result<Verified, VerifyError> {
    let anchors = state::anchors(dir)?;
    let mut at: Option<Mark> = None;
    let mut verified = Verified { records: 0, first: 0, last: 0, hash: hash::NONE, missing: 0 };
    for name in period::list(dir)? {
        let path = dir.join(name.to_string());
        let connection = match period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
            // Dropped by the daemon since the listing; it was the oldest, and left its anchor.
            Err(_) if at.is_none() && !path.exists() => continue,
            other => other?,
        };
        let start = period::start(&connection, &path)?;
        let fits = match at {
            Some(end) => start == end,
            None => start == Mark::NONE || anchors.contains(&start),
        };
        if !fits {
            let (seq, why) = (first(&connection, &path)?.unwrap_or(start.seq + 1), Mismatch::Start);
            return Err(VerifyError::Broken { path, seq, why });
        }
        sound(&connection, &path)?;
        at = Some(records(&connection, &path, start, &mut verified)?);
    }
    let end = at.map_or(0, |mark| mark.seq);
    // The file that is written to is never dropped, so that something follows every anchor.
    if let Some(anchor) = anchors.last()
        && anchor.seq > end
    {
        let (path, seq) = (dir.to_path_buf(), end);
        return Err(VerifyError::Gone { path, seq });
    }
    Ok(verified)
}

fn first(connection: &Connection, path: &Path) -> Result<Option<u64>, StoreError> {
    let select = "SELECT min(seq) FROM records";
    let seq: Option<i64> = connection.query_row(select, [], |row| row.get(0)).at(path)?;
    Ok(seq.map(number))
}

/// The indexes tell the same as the tables: else a search would pass over what a walk finds.
fn sound(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let check: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).at(path)?;
    if check == "ok" {
        return Ok(());
    }
    let (path, source) = (path.to_path_buf(), None);
    Err(StoreError::Corrupt { path, source })
}

fn records(
    connection: &Connection,
    path: &Path,
    start: Mark,
    verified: &mut Verified,
) -> Result<Mark, VerifyError> {
    let select = "SELECT seq, hash, time_ns, type, chain, body FROM records ORDER BY seq";
    let mut statement = connection.prepare(select).at(path)?;
    let mut gaps = connection.prepare("SELECT chain FROM gaps WHERE seq = ?").at(path)?;
    let mut rows = statement.query([]).at(path)?;
    let mut last = start;
    while let Some(row) = rows.next().at(path)? {
        let mark = Mark::of(row).at(path)?;
        let broken = |why| VerifyError::Broken { path: path.to_path_buf(), seq: mark.seq, why };
        let body: Vec<u8> = row.get(5).at(path)?;
        if hash::next(&last.hash, &body) != mark.hash {
            return Err(broken(Mismatch::Hash));
        }
        let view = View::parse(&body).map_err(|_| broken(Mismatch::NoRecord))?;
        let time_ns: i64 = row.get(2).at(path)?;
        let kind: String = row.get(3).at(path)?;
        let chain: Option<String> = row.get(4).at(path)?;
        let concerned = gaps.query_map([signed(mark.seq)], |row| row.get(0)).at(path)?;
        let concerned: BTreeSet<String> = concerned.collect::<Result<_, _>>().at(path)?;
        let chains: BTreeSet<&str> = match view.kind() {
            "gap" => view.list("chains").iter().filter_map(|chain| chain.as_str()).collect(),
            _ => BTreeSet::new(),
        };
        let checks = [
            ("seq", view.seq() == mark.seq),
            ("time", view.time_ns() == time_ns),
            ("type", view.kind() == kind),
            ("chain", view.chain() == chain.as_deref()),
            ("chains", chains.into_iter().eq(concerned.iter().map(String::as_str))),
        ];
        if let Some((what, _)) = checks.iter().find(|(_, fits)| !fits) {
            return Err(broken(Mismatch::Index(what)));
        }
        if verified.records == 0 {
            verified.first = mark.seq;
        } else {
            verified.missing += (mark.seq - 1).saturating_sub(verified.last);
        }
        verified.records += 1;
        (verified.last, verified.hash) = (mark.seq, mark.hash);
        last = mark;
    }
    Ok(last)
}
