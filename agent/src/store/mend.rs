//! A damaged file of records is set aside, and what can be read of it up to the damage takes its place.

use std::fs;
use std::path::{Path, PathBuf};

use memchr::memmem;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::error::At as _;
use super::packs::{Found, Index};
use super::period::{self, Name, number, signed};
use super::{StoreError, packs};
use crate::evidence::Mark;
use crate::record::View;

/// What damage has cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name.
    pub file: String,
    /// Where the damaged one lies now.
    pub kept: PathBuf,
    /// Records that were saved.
    pub saved: u64,
    /// Number of the last of them, or of the last before the file.
    pub last: u64,
    /// The largest number that is still seen behind the damage; 0: none is.
    pub seen: u64,
    /// Time of the last record that was saved, ns since 1970; 0: none was.
    pub since_ns: i64,
}

/// Something beside a file says that reading it failed.
fn suspicion(path: &Path) -> PathBuf {
    period::beside(path, ".suspect")
}

/// Reading a file of the store failed: it is looked at when the store is opened next.
pub fn suspect(path: &Path) {
    // Without it the file is only found when it is read again.
    let _ = fs::write(suspicion(path), "");
}

/// Looks at files that may be damaged: those that were suspected, and the newest where it was not closed in good order.
pub(super) fn mend(dir: &Path) -> Result<Vec<Damage>, StoreError> {
    let names = period::list(dir)?;
    let mut damages = Vec::new();
    let mut before = None;
    for (at, name) in names.iter().enumerate() {
        let path = dir.join(name.to_string());
        let suspected = suspicion(&path).exists();
        let newest = at + 1 == names.len();
        let open = newest && fs::metadata(period::beside(&path, "-wal")).is_ok_and(|wal| wal.len() > 0);
        // What cannot even be opened needs no reason to be looked at.
        let damaged = match sound(&path, suspected || open, suspected) {
            Ok(sound) => !sound,
            Err(StoreError::Corrupt { .. }) => true,
            Err(error) => return Err(error),
        };
        if damaged {
            damages.push(replace(dir, *name, before.as_deref())?);
        }
        if suspected {
            fs::remove_file(suspicion(&path)).at(&path)?;
        }
        before = Some(path);
    }
    Ok(damages)
}

/// Whether a file is sound, at a glance or page by page, and pack by pack: a pack is no more than bytes to the database.
fn sound(path: &Path, pages: bool, packs: bool) -> Result<bool, StoreError> {
    let connection = period::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    period::end(&connection, path)?;
    if pages {
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).at(path)?;
        if check != "ok" {
            return Ok(false);
        }
    }
    if packs && packs::are_in(&connection).at(path)? {
        let mut select = connection.prepare("SELECT last FROM packs ORDER BY last").at(path)?;
        let ends = select.query_map([], |row| row.get(0).map(number)).at(path)?;
        for end in ends {
            packs::read(&connection, path, end.at(path)?)?;
        }
    }
    Ok(true)
}

/// Puts what can be read in the place of a damaged file.
fn replace(dir: &Path, name: Name, before: Option<&Path>) -> Result<Damage, StoreError> {
    let path = dir.join(name.to_string());
    // Swept away at the next start if this one is killed.
    let fresh = dir.join("mended.sqlite.new");
    period::remove(&fresh)?;
    let damaged = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).at(&path)?;
    let start = begin(&damaged, &path, before, dir)?;
    let (saved, last, since_ns) = {
        let connection = Connection::open(&fresh).at(&fresh)?;
        connection.execute_batch(&period::script(start)).at(&fresh)?;
        let saved = save(&damaged, &connection, start, &fresh)?;
        connection.close().map_err(|(_, error)| StoreError::database(&fresh, error))?;
        saved
    };
    let newest = ["SELECT max(seq) FROM records", "SELECT max(last) FROM packs"];
    let seen = newest.map(|select| damaged.query_row(select, [], |row| row.get::<_, Option<i64>>(0)).ok());
    let seen = seen.into_iter().flatten().flatten().map(number).max().unwrap_or(0);
    drop(damaged);
    let kept = period::beside(&path, ".damaged");
    let [_, log, shared] = period::files(&path);
    for (from, suffix) in [(&path, ""), (&log, "-wal"), (&shared, "-shm")] {
        let to = period::beside(&kept, suffix);
        match fs::rename(from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&to, error));
            }
            _ => {}
        }
    }
    fs::rename(&fresh, &path).at(&path)?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).at(dir)?;
    Ok(Damage { file: name.to_string(), kept, saved, last: last.seq, seen, since_ns })
}

/// Where the file began: by its own word, else where the one before it ends, else where dropped ones ended.
fn begin(damaged: &Connection, path: &Path, before: Option<&Path>, dir: &Path) -> Result<Mark, StoreError> {
    if let Ok(start) = period::start(damaged, path) {
        return Ok(start);
    }
    if let Some(before) = before {
        let connection = period::open(before, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        return period::end(&connection, before);
    }
    Ok(super::state::anchors(dir)?.last().copied().unwrap_or(Mark::NONE))
}

/// Copies records as long as each is read and follows from the one before. Gives how many, the last, and its time.
fn save(
    from: &Connection,
    to: &Connection,
    start: Mark,
    path: &Path,
) -> Result<(u64, Mark, i64), StoreError> {
    let mut saved = Saved { records: 0, last: start, since_ns: 0 };
    to.execute_batch("BEGIN").at(path)?;
    if save_packs(from, to, &mut saved).at(path)? {
        save_rows(from, to, &mut saved).at(path)?;
    }
    to.execute_batch("COMMIT").at(path)?;
    Ok((saved.records, saved.last, saved.since_ns))
}

struct Saved {
    records: u64,
    last: Mark,
    since_ns: i64,
}

/// Pack by pack: of one that cannot be read, none of its records can. Whether all were copied.
fn save_packs(from: &Connection, to: &Connection, saved: &mut Saved) -> rusqlite::Result<bool> {
    let next = "SELECT last, hash FROM packs WHERE last > ? ORDER BY last LIMIT 1";
    match packs::are_in(from) {
        Ok(true) => {}
        Ok(false) => return Ok(true),
        Err(_) => return Ok(false),
    }
    loop {
        let end = match from.query_row(next, [signed(saved.last.seq)], period::mark).optional() {
            Ok(Some(end)) => end,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        };
        let Ok(Some(pack)) = packs::read(from, Path::new(""), end.seq) else { return Ok(false) };
        let first = pack.records().next().map(|record| record.mark.seq);
        if pack.end() != Some(end) || first.is_none_or(|first| first <= saved.last.seq) {
            return Ok(false);
        }
        let mut index = Index::default();
        let (mut last, mut since_ns) = (saved.last, 0);
        for record in pack.records() {
            last = last.then(record.mark.seq, record.body);
            let Some(found) = Found::at_a_glance(record.mark.seq, record.body) else { return Ok(false) };
            since_ns = found.time_ns;
            index.add(record.mark.seq, found);
        }
        if last != end {
            return Ok(false);
        }
        for record in pack.records() {
            save_gaps(to, record.mark.seq, record.body)?;
        }
        let records: Vec<(Mark, &[u8])> = pack.records().map(|record| (record.mark, record.body)).collect();
        packs::insert(to, saved.last, &records, &index)?;
        *saved = Saved { records: saved.records + records.len() as u64, last: end, since_ns };
    }
}

fn save_rows(from: &Connection, to: &Connection, saved: &mut Saved) -> rusqlite::Result<()> {
    let mut insert = to.prepare("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)")?;
    // One at a time: a page that cannot be read ends it there, and spoils nothing before it.
    let select =
        "SELECT seq, time_ns, type, chain, body, hash FROM records WHERE seq > ? ORDER BY seq LIMIT 1";
    let Ok(mut select) = from.prepare(select) else { return Ok(()) };
    loop {
        let row = select.query_row([signed(saved.last.seq)], |row| {
            let columns: (i64, i64, String, Option<String>, Vec<u8>) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((columns, row.get::<_, [u8; 32]>(5)?))
        });
        let Ok(Some(((seq, time_ns, kind, chain, body), hash))) = row.optional() else { return Ok(()) };
        let mark = saved.last.then(number(seq), &body);
        if mark.hash != hash || View::parse(&body).is_err() {
            return Ok(());
        }
        insert.execute(params![seq, time_ns, kind, chain, body, hash])?;
        save_gaps(to, mark.seq, &body)?;
        (saved.records, saved.last, saved.since_ns) = (saved.records + 1, mark, time_ns);
    }
}

/// Which chains a gap concerns, by its own word.
fn save_gaps(to: &Connection, seq: u64, body: &[u8]) -> rusqlite::Result<()> {
    if memmem::find(body, b"gap").is_none() {
        return Ok(());
    }
    let Some(view) = View::parse(body).ok().filter(|view| view.kind() == "gap") else { return Ok(()) };
    let mut gap = to.prepare_cached("INSERT OR IGNORE INTO gaps VALUES (?, ?)")?;
    for chain in view.list("chains").iter().filter_map(|chain| chain.as_str()) {
        gap.execute(params![chain, signed(seq)])?;
    }
    Ok(())
}
