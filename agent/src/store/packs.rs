//! The tables of packs, in a file of records.
//!
//! A file has its oldest records in packs and its newest in rows: the last of a pack comes before the first row. A record is in
//! one of the two, always, for it moves in one transaction.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;

use super::error::{At as _, PackError};
use super::pack::{self, Flaw, Pack};
use super::period::{number, signed};
use super::{StoreError, Stored};
use crate::evidence::Mark;
use crate::record::{Members, Strange, nanoseconds};

/// Version of the schema of files with these tables.
pub(super) const VERSION: i64 = 3;
/// Those of this version have no [`LOOSE`], and those before it no packs.
const WITHOUT_LOOSE: i64 = 2;

/// `pack` is the number of the last record in it. `told` is how far behind `first` the first action, or record of type `chain`, is.
const PACKS: &str = "
CREATE TABLE packs (
  last INTEGER PRIMARY KEY, first INTEGER NOT NULL, records INTEGER NOT NULL, from_ns INTEGER NOT NULL,
  until_ns INTEGER NOT NULL, before BLOB NOT NULL, hash BLOB NOT NULL, pack BLOB NOT NULL
) STRICT;
CREATE TABLE pack_chains (
  chain TEXT NOT NULL, pack INTEGER NOT NULL, first INTEGER NOT NULL, told INTEGER, PRIMARY KEY (chain, pack)
) STRICT, WITHOUT ROWID;
CREATE TABLE pack_types (type TEXT NOT NULL, pack INTEGER NOT NULL, PRIMARY KEY (type, pack)) STRICT, WITHOUT ROWID;
";

/// The packs that were not condensed yet.
const LOOSE: &str = "CREATE TABLE loose (pack INTEGER PRIMARY KEY) STRICT;";

/// What makes these tables in a new file.
pub(super) fn schema() -> String {
    format!("{PACKS}{LOOSE}")
}

/// What is known of a pack without unpacking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// Number of its first record.
    pub(super) first: u64,
    /// Its last record.
    pub(super) end: Mark,
    pub(super) records: u64,
    /// Time of the earliest record, ns since 1970.
    pub(super) from_ns: i64,
    /// Time of the latest.
    pub(super) until_ns: i64,
}

pub(super) const META: &str = "last, hash, first, records, from_ns, until_ns";

pub(super) fn meta(row: &Row<'_>) -> rusqlite::Result<Meta> {
    Ok(Meta {
        end: super::period::mark(row)?,
        first: number(row.get(2)?),
        records: number(row.get(3)?),
        from_ns: row.get(4)?,
        until_ns: row.get(5)?,
    })
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))
}

/// Whether a file has packs.
pub(super) fn are_in(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? >= WITHOUT_LOOSE)
}

/// Whether some packs of a file were not condensed yet.
pub(super) fn are_loose(connection: &Connection) -> rusqlite::Result<bool> {
    let of = match version(connection)? {
        VERSION.. => "loose",
        WITHOUT_LOOSE => "packs",
        _ => return Ok(false),
    };
    connection.query_row(&format!("SELECT EXISTS (SELECT 1 FROM {of})"), [], |row| row.get(0))
}

/// The last record that is packed.
pub(super) fn end(connection: &Connection) -> rusqlite::Result<Option<Mark>> {
    if !are_in(connection)? {
        return Ok(None);
    }
    let newest = "SELECT last, hash FROM packs ORDER BY last DESC LIMIT 1";
    connection.query_row(newest, [], super::period::mark).optional()
}

/// Makes the tables in a file of a version that had none.
pub(super) fn upgrade(connection: &Connection) -> rusqlite::Result<()> {
    let tables = match version(connection)? {
        VERSION.. => return Ok(()),
        WITHOUT_LOOSE => format!("{LOOSE}INSERT INTO loose SELECT last FROM packs;"),
        _ => schema(),
    };
    connection.execute_batch(&format!("BEGIN IMMEDIATE;{tables}PRAGMA user_version={VERSION};COMMIT;"))
}

/// Unpacks the pack that ends with that record. `None`: there is none.
pub(super) fn read(connection: &Connection, path: &Path, last: u64) -> Result<Option<Pack>, StoreError> {
    let select = "SELECT first, before, pack FROM packs WHERE last = ?";
    let row = |row: &Row<'_>| {
        let before = Mark { seq: number(row.get(0)?).saturating_sub(1), hash: row.get(1)? };
        let bytes = row.get_ref(2)?.as_blob()?;
        Ok(pack::unpack(before, bytes))
    };
    let found = connection
        .prepare_cached(select)
        .and_then(|mut select| select.query_row([signed(last)], row).optional());
    let unpacked = found.at(path)?.transpose().map_err(|flaw| damaged(path, last, flaw))?;
    match unpacked {
        Some(pack) if pack.end().is_none_or(|end| end.seq != last) => Err(damaged(path, last, Flaw::Lengths)),
        unpacked => Ok(unpacked),
    }
}

/// The records of a pack, which begins a store. For who tries what may be in one: `plain` is deflated first.
///
/// # Errors
/// [`Flaw`]
pub fn unpack(bytes: &[u8], plain: bool) -> Result<Vec<Stored>, Flaw> {
    let found = if plain {
        pack::unpack(Mark::NONE, &pack::deflated(bytes))
    } else {
        pack::unpack(Mark::NONE, bytes)
    };
    let stored = |record: pack::Packed<'_>| Stored { seq: record.mark.seq, body: record.body.to_vec() };
    Ok(found?.records().map(stored).collect())
}

pub(super) fn damaged(path: &Path, last: u64, flaw: Flaw) -> StoreError {
    let source = Some(PackError { last, flaw }.into());
    StoreError::Corrupt { path: path.to_path_buf(), source }
}

/// What records are found by, read from their own bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) time_ns: i64,
    pub(super) kind: String,
    pub(super) chain: Option<String>,
}

#[derive(Deserialize)]
struct Glance {
    seq: u64,
    time: String,
    #[serde(rename = "type")]
    kind: String,
    chain: Option<String>,
}

impl Found {
    /// Reads over all else. `None` where it is no record of that number.
    pub(super) fn at_a_glance(seq: u64, body: &[u8]) -> Option<Self> {
        Self::as_written(seq, body).ok().flatten().or_else(|| Self::parsed(seq, body))
    }

    /// Of what the agent wrote, no further than where the last of these stands. What is not found there is looked for in all of it.
    fn as_written(number: u64, body: &[u8]) -> Result<Option<Self>, Strange> {
        let (mut seq, mut time, mut kind, mut chain) = (None, None, None, None);
        let mut members = Members::of(body)?;
        while chain.is_none()
            && let Some((name, value)) = members.next()?
        {
            match name {
                b"seq" => seq = Some(value.number()?),
                b"time" => time = Some(value.text()?),
                b"type" => kind = Some(value.text()?),
                b"chain" => chain = Some(value.text()?),
                _ => {}
            }
        }
        let (Some(time), Some(kind)) = (time, kind) else { return Ok(None) };
        let found = nanoseconds(time).filter(|_| seq == Some(number));
        Ok(found.map(|time_ns| Self { time_ns, kind: kind.to_owned(), chain: chain.map(str::to_owned) }))
    }

    fn parsed(seq: u64, body: &[u8]) -> Option<Self> {
        let Glance { seq: own, time, kind, chain } = serde_json::from_slice(body).ok()?;
        (own == seq).then_some(Self { time_ns: nanoseconds(&time)?, kind, chain })
    }

    /// Tells of what a chain did.
    pub(super) fn tells(&self) -> bool {
        matches!(self.kind.as_str(), "action" | "chain")
    }
}

/// A chain in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Number of its first record.
    pub(super) first: u64,
    /// Of the first that tells what it did.
    pub(super) told: Option<u64>,
}

/// What packs are found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) span: Option<(i64, i64)>,
    pub(super) chains: BTreeMap<String, Told>,
    pub(super) types: std::collections::BTreeSet<String>,
}

impl Index {
    pub(super) fn add(&mut self, seq: u64, found: Found) {
        let (from, until) = self.span.unwrap_or((found.time_ns, found.time_ns));
        self.span = Some((from.min(found.time_ns), until.max(found.time_ns)));
        let tells = found.tells().then_some(seq);
        if let Some(chain) = found.chain {
            let told = self.chains.entry(chain).or_insert(Told { first: seq, told: None });
            told.told = told.told.or(tells);
        }
        self.types.insert(found.kind);
    }
}

pub(super) fn told(first: i64, behind: Option<i64>) -> Told {
    Told { first: number(first), told: behind.map(|behind| number(first.saturating_add(behind))) }
}

/// The number before the first is what numbers are counted from: what is missing before a pack is no matter of its own.
pub(super) fn near(before: Mark, first: u64) -> Mark {
    Mark { seq: first.saturating_sub(1), hash: before.hash }
}

/// The bytes of a pack of records that follow `before`.
pub(super) fn pack(before: Mark, records: &[(Mark, &[u8])]) -> std::io::Result<Vec<u8>> {
    let first = records.first().map_or(0, |(first, _)| first.seq);
    pack::pack(near(before, first), records)
}

/// Puts a pack of records in that follow `before`.
pub(super) fn insert(
    connection: &Connection,
    before: Mark,
    records: &[(Mark, &[u8])],
    index: &Index,
) -> rusqlite::Result<()> {
    let bytes =
        pack(before, records).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let marks: Vec<Mark> = records.iter().map(|(mark, _)| *mark).collect();
    insert_packed(connection, before, &marks, &bytes, index)
}

/// Puts the bytes of a pack in that is made of such records.
pub(super) fn insert_packed(
    connection: &Connection,
    before: Mark,
    records: &[Mark],
    bytes: &[u8],
    index: &Index,
) -> rusqlite::Result<()> {
    let (Some(first), Some(end), Some((from_ns, until_ns))) = (records.first(), records.last(), index.span)
    else {
        return Ok(());
    };
    let meta = Meta { first: first.seq, end: *end, records: records.len() as u64, from_ns, until_ns };
    put(connection, &meta, before, bytes, index)?;
    connection.prepare_cached("INSERT INTO loose VALUES (?)")?.execute([signed(end.seq)])?;
    Ok(())
}

/// Puts the bytes of a pack in, and what it is found by.
pub(super) fn put(
    connection: &Connection,
    meta: &Meta,
    before: Mark,
    bytes: &[u8],
    index: &Index,
) -> rusqlite::Result<()> {
    let Meta { first, end, records, from_ns, until_ns } = *meta;
    let mut insert = connection.prepare_cached("INSERT INTO packs VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
    let (last, first, records) = (signed(end.seq), signed(first), signed(records));
    insert.execute(params![last, first, records, from_ns, until_ns, before.hash, end.hash, bytes])?;
    let mut insert = connection.prepare_cached("INSERT INTO pack_chains VALUES (?, ?, ?, ?)")?;
    for (chain, told) in &index.chains {
        let behind = told.told.map(|seq| signed(seq - told.first));
        insert.execute(params![chain, last, signed(told.first), behind])?;
    }
    let mut insert = connection.prepare_cached("INSERT INTO pack_types VALUES (?, ?)")?;
    for kind in &index.types {
        insert.execute(params![kind, last])?;
    }
    Ok(())
}

/// Takes a pack out, and what it is found by. Whether it was there.
pub(super) fn remove(connection: &Connection, last: u64, index: &Index) -> rusqlite::Result<bool> {
    let last = signed(last);
    let mut delete = connection.prepare_cached("DELETE FROM pack_chains WHERE chain = ? AND pack = ?")?;
    for chain in index.chains.keys() {
        delete.execute(params![chain, last])?;
    }
    let mut delete = connection.prepare_cached("DELETE FROM pack_types WHERE type = ? AND pack = ?")?;
    for kind in &index.types {
        delete.execute(params![kind, last])?;
    }
    Ok(connection.prepare_cached("DELETE FROM packs WHERE last = ?")?.execute([last])? == 1)
}

/// Whether a pack is found by what its records are found by. Gives how many chains and types these are, or what it is not
/// found by.
pub(super) fn verify_index(
    connection: &Connection,
    meta: &Meta,
    index: &Index,
) -> rusqlite::Result<Result<u64, &'static str>> {
    if index.span != Some((meta.from_ns, meta.until_ns)) {
        return Ok(Err("time"));
    }
    let last = signed(meta.end.seq);
    let mut select =
        connection.prepare_cached("SELECT first, told FROM pack_chains WHERE chain = ? AND pack = ?")?;
    for (chain, known) in &index.chains {
        let found =
            select.query_row(params![chain, last], |row| Ok(told(row.get(0)?, row.get(1)?))).optional()?;
        if found != Some(*known) {
            return Ok(Err("chain"));
        }
    }
    let mut select =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM pack_types WHERE type = ? AND pack = ?)")?;
    for kind in &index.types {
        if !select.query_row(params![kind, last], |row| row.get(0))? {
            return Ok(Err("type"));
        }
    }
    Ok(Ok(index.chains.len() as u64 + index.types.len() as u64))
}

/// By how many chains and types the packs of a file are found.
pub(super) fn indexed(connection: &Connection) -> rusqlite::Result<u64> {
    let select = "SELECT (SELECT count(*) FROM pack_chains) + (SELECT count(*) FROM pack_types)";
    connection.query_row(select, [], |row| row.get(0)).map(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of all records of the goldens.
    fn goldens() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/records");
        let files = std::fs::read_dir(folder).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn what_is_found_as_it_is_written_is_what_is_parsed() {
        let mut seen = 0;
        for line in goldens().iter().filter(|line| line.starts_with('{')) {
            let Ok(view) = crate::record::View::parse(line.as_bytes()) else { continue };
            let parsed = Found::parsed(view.seq(), line.as_bytes());
            assert!(parsed.is_some(), "{line}");
            assert_eq!(Found::as_written(view.seq(), line.as_bytes()), Ok(parsed), "{line}");
            assert_eq!(Found::at_a_glance(view.seq() + 1, line.as_bytes()), None);
            seen += 1;
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn what_is_written_otherwise_is_parsed() {
        let of = |body: &str| Found::at_a_glance(7, body.as_bytes());
        let plain = of(r#"{"seq":7,"time":"2026-01-02T00:00:00Z","type":"action","chain":"A"}"#);
        assert!(plain.as_ref().is_some_and(|found| found.chain.as_deref() == Some("A")));
        for same in [
            r#"{ "seq":7,"time":"2026-01-02T00:00:00Z","type":"action","chain":"A"}"#,
            r#"{"seq":7,"time":"2026-01-02T00:00:00Z","type":"action","chain":"\u0041"}"#,
            r#"{"chain":"A","type":"action","time":"2026-01-02T00:00:00Z","seq":7}"#,
        ] {
            assert_eq!(of(same), plain, "{same}");
        }
        let none = of(r#"{"seq":7,"time":"2026-01-02T00:00:00Z","type":"action","chain":null}"#);
        assert!(none.is_some_and(|found| found.chain.is_none()));
        for other in ["", "{}", r#"{"seq":7,"type":"action"}"#, r#"{"seq":7,"time":"soon","type":"action"}"#]
        {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
