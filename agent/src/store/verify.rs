//! Has anybody touched the evidence?

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::At as _;
use super::pack::Packed;
use super::packs::{Found, Index, META, meta};
use super::period::{self, mark, number, signed};
use super::{StoreError, packs, state};
use crate::evidence::{Head, HeadError, Heads, Mark, PublicKey};
use crate::record::{Hash, View, stamped};

/// What verifies.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Records that are kept.
    pub records: u64,
    /// Number of the first of them; 0 where there is none.
    pub first: u64,
    /// The last; [`Mark::NONE`] where there is none.
    pub end: Mark,
    /// Numbers between them that no record has: records that could not be stored when the disk was full.
    pub missing: u64,
    /// The heads among them.
    pub heads: Heads,
    /// Records after the last head: nothing is signed for them yet.
    pub unsigned: u64,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// It is a head, and does not stand.
    #[error("it is a head: {0}")]
    Head(#[from] HeadError),
    /// It is a head of other records.
    #[error("it is a head, and was signed for other records than these before it")]
    Signed,
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
    /// Records end before where dropped files, or a sink, had already been.
    #[error("{}: everything after record {seq} is gone: there were {known} at least", path.display())]
    Gone {
        /// The directory.
        path: PathBuf,
        /// The last number that is there.
        seq: u64,
        /// A number that is known to have been.
        known: u64,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a store, from the oldest record kept to the newest. Changes nothing; may run beside the daemon. Heads must be
/// signed by one of `keys` or by keys that these vouch for; where none is given, by the key of the first head.
///
/// # Errors
/// [`VerifyError::Broken`] names the first record that does not fit.
pub fn verify(dir: &Path, keys: &[PublicKey]) -> Result<Verified, VerifyError> {
    let anchors = state::anchors(dir)?;
    let mut at: Option<Mark> = None;
    // Read before the records: what a sink has by now is stored by then.
    let farthest = state::farthest(dir)?;
    let mut walk = Walk::new(keys);
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
        at = Some(walk.file(&connection, &path, start)?);
    }
    let end = at.unwrap_or(Mark::NONE);
    // The file that is written to is never dropped, so that something follows every anchor.
    let known = anchors.last().map_or(0, |anchor| anchor.seq).max(farthest);
    if known > end.seq {
        let (path, seq) = (dir.to_path_buf(), end.seq);
        return Err(VerifyError::Gone { path, seq, known });
    }
    Ok(Verified { end, ..walk.verified })
}

fn first(connection: &Connection, path: &Path) -> Result<Option<u64>, StoreError> {
    let min = |select| connection.query_row(select, [], |row| row.get::<_, Option<i64>>(0)).at(path);
    let packed =
        if packs::are_in(connection).at(path)? { min("SELECT min(first) FROM packs")? } else { None };
    Ok(packed.or(min("SELECT min(seq) FROM records")?).map(number))
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

/// Goes from record to record.
struct Walk {
    verified: Verified,
    /// The number before the first record that is kept.
    start: Option<Mark>,
    /// Records after the last one that a head signed for.
    since_head: u64,
}

impl Walk {
    fn new(keys: &[PublicKey]) -> Self {
        let (end, heads) = (Mark::NONE, Heads::new(keys.to_vec()));
        let verified = Verified { records: 0, first: 0, end, missing: 0, heads, unsigned: 0 };
        Self { verified, start: None, since_head: 0 }
    }

    /// The records of a file. Gives the last.
    fn file(&mut self, connection: &Connection, path: &Path, start: Mark) -> Result<Mark, VerifyError> {
        self.start.get_or_insert(start);
        // Packs and rows at one moment: while this goes on, rows become packs.
        let moment = connection.unchecked_transaction().at(path)?;
        let packed = packs::are_in(&moment).at(path)?;
        let (last, indexed) = if packed { self.packs(&moment, path, start)? } else { (start, 0) };
        let end = self.rows(&moment, path, last)?;
        // Each pack is found by what it should be: more than that is of packs that are not there, or leads to the wrong one.
        if packed && packs::indexed(&moment).at(path)? != indexed {
            let (path, why) = (path.to_path_buf(), Mismatch::Index("chain"));
            return Err(VerifyError::Broken { path, seq: last.seq, why });
        }
        Ok(end)
    }

    /// The packs of a file. Gives the last record, and by how many chains and types they are found.
    fn packs(
        &mut self,
        connection: &Connection,
        path: &Path,
        start: Mark,
    ) -> Result<(Mark, u64), VerifyError> {
        let select = format!("SELECT {META}, before FROM packs ORDER BY last");
        let mut statement = connection.prepare(&select).at(path)?;
        let mut rows = statement.query([]).at(path)?;
        let (mut last, mut indexed) = (start, 0);
        while let Some(row) = rows.next().at(path)? {
            let known = meta(row).at(path)?;
            let before: Hash = row.get(6).at(path)?;
            let broken = |seq, why| VerifyError::Broken { path: path.to_path_buf(), seq, why };
            if before != last.hash || known.first <= last.seq {
                return Err(broken(known.first, Mismatch::Hash));
            }
            let Some(pack) = packs::read(connection, path, known.end.seq)? else { continue };
            let unfit = pack.records().find(|record| !record.fits).map(|record| record.mark.seq);
            let whole = pack.end() == Some(known.end) && pack.records().count() as u64 == known.records;
            if unfit.is_some() || !whole {
                return Err(broken(unfit.unwrap_or(known.end.seq), Mismatch::Hash));
            }
            let mut index = Index::default();
            for Packed { mark, body, .. } in pack.records() {
                index.add(mark.seq, self.record(connection, path, last, (mark, body))?);
                last = mark;
            }
            indexed += packs::verify_index(connection, &known, &index)
                .at(path)?
                .map_err(|what| broken(known.first, Mismatch::Index(what)))?;
        }
        Ok((last, indexed))
    }

    fn rows(&mut self, connection: &Connection, path: &Path, start: Mark) -> Result<Mark, VerifyError> {
        let select = "SELECT seq, hash, time_ns, type, chain, body FROM records ORDER BY seq";
        let mut statement = connection.prepare(select).at(path)?;
        let mut rows = statement.query([]).at(path)?;
        let mut last = start;
        while let Some(row) = rows.next().at(path)? {
            let mark = mark(row).at(path)?;
            let body: Vec<u8> = row.get(5).at(path)?;
            let broken = |why| VerifyError::Broken { path: path.to_path_buf(), seq: mark.seq, why };
            if last.then(mark.seq, &body) != mark {
                return Err(broken(Mismatch::Hash));
            }
            let found = self.record(connection, path, last, (mark, &body))?;
            let columns = Found {
                time_ns: row.get(2).at(path)?,
                kind: row.get(3).at(path)?,
                chain: row.get(4).at(path)?,
            };
            let checks = [
                ("time", found.time_ns == columns.time_ns),
                ("type", found.kind == columns.kind),
                ("chain", found.chain == columns.chain),
            ];
            if let Some((what, _)) = checks.iter().find(|(_, fits)| !fits) {
                return Err(broken(Mismatch::Index(what)));
            }
            last = mark;
        }
        Ok(last)
    }

    /// A record whose hash is right. Gives what it is to be found by.
    fn record(
        &mut self,
        connection: &Connection,
        path: &Path,
        last: Mark,
        (mark, body): (Mark, &[u8]),
    ) -> Result<Found, VerifyError> {
        let broken = |why| VerifyError::Broken { path: path.to_path_buf(), seq: mark.seq, why };
        if stamped(body).is_some_and(|prev| prev != last.hash) {
            return Err(broken(Mismatch::Hash));
        }
        let view = View::parse(body).map_err(|_| broken(Mismatch::NoRecord))?;
        if view.seq() != mark.seq {
            return Err(broken(Mismatch::Index("seq")));
        }
        let mut gaps = connection.prepare_cached("SELECT chain FROM gaps WHERE seq = ?").at(path)?;
        let concerned = gaps.query_map([signed(mark.seq)], |row| row.get(0)).at(path)?;
        let concerned: BTreeSet<String> = concerned.collect::<Result<_, _>>().at(path)?;
        let chains: BTreeSet<&str> = match view.kind() {
            "gap" => view.list("chains").iter().filter_map(|chain| chain.as_str()).collect(),
            _ => BTreeSet::new(),
        };
        if !chains.into_iter().eq(concerned.iter().map(String::as_str)) {
            return Err(broken(Mismatch::Index("chains")));
        }
        if view.kind() == "head" {
            self.head(&view, last).map_err(broken)?;
        } else {
            self.verified.unsigned += 1;
        }
        self.count(last, mark);
        let (kind, chain) = (view.kind().to_owned(), view.chain().map(str::to_owned));
        Ok(Found { time_ns: view.time_ns(), kind, chain })
    }

    fn count(&mut self, last: Mark, found: Mark) {
        let verified = &mut self.verified;
        if verified.records == 0 {
            verified.first = found.seq;
        } else {
            verified.missing += (found.seq - 1).saturating_sub(last.seq);
        }
        verified.records += 1;
        self.since_head += 1;
    }

    /// A head signs for all before it.
    fn head(&mut self, view: &View, last: Mark) -> Result<(), Mismatch> {
        let first = self.verified.heads.last().is_none();
        let (Head { end, since, records, .. }, follows) = self.verified.heads.see(view)?;
        // The head before the first that is kept was dropped, or there was none.
        let start = self.start.unwrap_or(Mark::NONE);
        let goes_on = if first { since.seq < start.seq || *since == start } else { follows };
        if !goes_on {
            return Err(HeadError::Since.into());
        }
        let counted = since.seq < start.seq || *records == self.since_head;
        if *end != last || !counted {
            return Err(Mismatch::Signed);
        }
        (self.since_head, self.verified.unsigned) = (0, 0);
        Ok(())
    }
}
