//! A damaged file of records is set aside, and what can be read of it up to the damage takes its place.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::StoreError;
use super::error::At as _;
use super::period::{self, Name, number, signed};
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
        let damaged = match sound(&path, suspected || open) {
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

/// Whether a file is sound, at a glance or page by page.
fn sound(path: &Path, thoroughly: bool) -> Result<bool, StoreError> {
    let connection = period::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    period::end(&connection, path)?;
    if !thoroughly {
        return Ok(true);
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).at(path)?;
    Ok(check == "ok")
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
    let seen = damaged.query_row("SELECT max(seq) FROM records", [], |row| row.get::<_, Option<i64>>(0));
    let seen = seen.ok().flatten().map_or(0, number);
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
    let (mut saved, mut last, mut since_ns) = (0, start, 0);
    to.execute_batch("BEGIN").at(path)?;
    {
        let mut insert = to.prepare("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)").at(path)?;
        let mut gap = to.prepare("INSERT OR IGNORE INTO gaps VALUES (?, ?)").at(path)?;
        // One at a time: a page that cannot be read ends it there, and spoils nothing before it.
        let mut select = from
            .prepare("SELECT seq, time_ns, type, chain, body, hash FROM records WHERE seq > ? ORDER BY seq LIMIT 1")
            .ok();
        while let Some(select) = &mut select {
            let row = select.query_row([signed(last.seq)], |row| {
                let columns: (i64, i64, String, Option<String>, Vec<u8>) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
                Ok((columns, row.get::<_, [u8; 32]>(5)?))
            });
            let Ok(Some(((seq, time_ns, kind, chain, body), hash))) = row.optional() else { break };
            let mark = last.then(number(seq), &body);
            let Ok(view) = View::parse(&body) else { break };
            if mark.hash != hash {
                break;
            }
            insert.execute(params![seq, time_ns, kind, chain, body, hash]).at(path)?;
            if view.kind() == "gap" {
                for chain in view.list("chains").iter().filter_map(|chain| chain.as_str()) {
                    gap.execute(params![chain, seq]).at(path)?;
                }
            }
            (saved, last, since_ns) = (saved + 1, mark, time_ns);
        }
    }
    to.execute_batch("COMMIT").at(path)?;
    Ok((saved, last, since_ns))
}
