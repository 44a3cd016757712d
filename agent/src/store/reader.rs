//! Reading, beside the writer, also from another process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Params, Row};

use super::StoreError;
use super::error::At as _;
use super::period::{self, Name, number, signed};
use crate::record::{View, nanoseconds};

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Which chains. What is `None` selects nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainsFilter {
    /// Id of the actor, or its user.
    pub actor: Option<String>,
    /// A credential's id, path, or one of its identifiers.
    pub credential: Option<String>,
    /// Those that were open at this time or later, ns since 1970.
    pub since_ns: Option<i64>,
    /// At most so many; 0: all.
    pub limit: usize,
}

/// A chain, with all the records that are kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainHead {
    /// Its id.
    pub id: String,
    /// Its records in their order, gaps that concern it among them.
    pub records: Vec<View>,
}

/// Reads a store. Sees what is committed, at the moment of each call.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: RefCell<BTreeMap<Name, Connection>>,
}

const OF_CHAIN: &str = "SELECT seq, body FROM records WHERE chain = ?1
    UNION ALL SELECT r.seq, r.body FROM gaps g JOIN records r ON r.seq = g.seq WHERE g.chain = ?1 ORDER BY 1";

impl Reader {
    /// Opens the store of a directory for reading.
    ///
    /// # Errors
    /// [`StoreError`] where the directory cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let reader = Self { dir: dir.to_path_buf(), open: RefCell::default() };
        reader.refresh()?;
        Ok(reader)
    }

    /// The records after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn after(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let select = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?";
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            found.extend(self.rows(*name, connection, select, (signed(seq), left), stored)?);
        }
        Ok(found)
    }

    /// Ids of the chains that begin like this, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn matching(&self, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let from = prefix.to_ascii_uppercase();
        // `~` sorts behind every letter of an id.
        let to = format!("{from}~");
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            let select =
                "SELECT DISTINCT chain FROM records WHERE chain >= ? AND chain < ? ORDER BY chain LIMIT ?";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let ids: Vec<String> =
                self.rows(*name, connection, select, (&from, &to, limit), |row| row.get(0))?;
            found.extend(ids);
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    /// Every record of the chain of exactly this id, gaps that concern it among them, in their order.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chain(&self, id: &str) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            found.extend(self.rows(*name, connection, OF_CHAIN, [id], stored)?);
        }
        Ok(found)
    }

    /// Chains, newest first.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chains(&self, filter: &ChainsFilter) -> Result<Vec<ChainHead>, StoreError> {
        let mut heads = Vec::new();
        for id in self.ids_newest_first()? {
            if filter.limit != 0 && heads.len() == filter.limit {
                break;
            }
            let records: Vec<View> =
                self.chain(&id)?.iter().filter_map(|stored| View::parse(&stored.body).ok()).collect();
            let head = ChainHead { id, records };
            if head.matches(filter) {
                heads.push(head);
            }
        }
        Ok(heads)
    }

    fn ids_newest_first(&self) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let mut ids: Vec<String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (name, connection) in self.open.borrow().iter().rev() {
            let select =
                "SELECT chain FROM records WHERE chain IS NOT NULL GROUP BY chain ORDER BY min(seq) DESC";
            let found: Vec<String> = self.rows(*name, connection, select, [], |row| row.get(0))?;
            ids.extend(found.into_iter().filter(|id| known.insert(id.clone())));
        }
        Ok(ids)
    }

    /// The newest record of a type.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn last(&self, kind: &str) -> Result<Option<Stored>, StoreError> {
        self.refresh()?;
        for (name, connection) in self.open.borrow().iter().rev() {
            let select = "SELECT seq, body FROM records WHERE type = ? ORDER BY seq DESC LIMIT 1";
            if let Some(found) = self.rows(*name, connection, select, [kind], stored)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn rows<T>(
        &self,
        name: Name,
        connection: &Connection,
        select: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let read = || {
            let mut statement = connection.prepare(select)?;
            statement.query_map(params, map)?.collect::<Result<_, _>>()
        };
        read().at(&self.dir.join(name.to_string()))
    }

    /// Opens what is new, lets go of what retention has dropped.
    fn refresh(&self) -> Result<(), StoreError> {
        let names = period::list(&self.dir)?;
        let mut open = self.open.borrow_mut();
        open.retain(|name, _| names.contains(name));
        for name in names {
            if open.contains_key(&name) {
                continue;
            }
            let path = self.dir.join(name.to_string());
            match period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Ok(connection) => {
                    open.insert(name, connection);
                }
                // Dropped between the listing and here.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { seq: number(row.get(0)?), body: row.get(1)? })
}

impl ChainHead {
    fn matches(&self, filter: &ChainsFilter) -> bool {
        let since = filter.since_ns.is_none_or(|since| {
            let closed = self.records.iter().rev().find(|view| view.text("status") == Some("closed"));
            closed.and_then(|view| nanoseconds(view.text("time")?)).is_none_or(|end| end >= since)
        });
        let actor = filter.actor.as_deref().is_none_or(|actor| {
            let is = |view: &View, path| view.text(path) == Some(actor);
            self.records.iter().any(|view| is(view, "actor.id") || is(view, "actor.user"))
        });
        let credential = filter.credential.as_deref().is_none_or(|wanted| {
            self.records.iter().any(|view| {
                let lists = [view.list("credential"), view.list("summary.credentials")];
                lists.into_iter().flatten().any(|credential| names(credential, wanted))
            })
        });
        since && actor && credential
    }
}

fn names(credential: &serde_json::Value, wanted: &str) -> bool {
    let is = |value: &serde_json::Value| value.as_str() == Some(wanted);
    ["id", "path"].into_iter().any(|name| credential.get(name).is_some_and(is))
        || credential
            .get("identifiers")
            .and_then(|all| all.as_object())
            .is_some_and(|all| all.values().any(is))
}
