//! Numbers that may have been given to records which a power cut took: they are not given again.
//!
//! A killed daemon loses nothing that was appended, a power cut the last moments of it, and of the cursors beside it, while
//! receivers have the records. The same number for another record would be a repetition to them. So numbers are reserved, a
//! few thousand at a time and synchronised, before they are used; after an end that was no good one, and in another boot, the
//! next number is above all that were reserved.

use rusqlite::{OptionalExtension as _, params};

use super::error::At as _;
use super::period::{number, signed};
use super::{Cursors, StoreError};

/// So many are reserved at once: one synchronisation for so many records, and so many numbers that may stay unused.
const AHEAD: u64 = 4096;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS life (
  one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, reserved INTEGER NOT NULL, sealed INTEGER NOT NULL
) STRICT;";

/// What is reserved.
#[derive(Debug)]
pub(super) struct Life {
    boot: String,
    reserved: u64,
}

impl Life {
    /// Begins in a boot, with a store whose last record has this number. Gives the number that the next must be above.
    pub(super) fn begin(cursors: &Cursors, boot: &str, last: u64) -> Result<(Self, u64), StoreError> {
        let (connection, path) = (&cursors.connection, &cursors.path);
        connection.execute_batch(SCHEMA).at(path)?;
        let select = "SELECT boot, reserved, sealed FROM life";
        let before = connection
            .query_row(select, [], |row| {
                Ok((row.get::<_, String>(0)?, number(row.get(1)?), number(row.get(2)?)))
            })
            .optional()
            .at(path)?;
        let lost = before.filter(|(known, _, sealed)| known != boot && *sealed != last);
        let above = lost.map_or(0, |(_, reserved, _)| reserved);
        let mut life = Self { boot: boot.to_owned(), reserved: last.max(above) };
        life.write(cursors, life.reserved, 0)?;
        Ok((life, above))
    }

    /// Reserves what is to be used next.
    pub(super) fn reserve(&mut self, cursors: &Cursors, seq: u64) -> Result<(), StoreError> {
        if seq > self.reserved {
            self.write(cursors, seq.saturating_add(AHEAD), 0)?;
        }
        Ok(())
    }

    /// A good end: nothing after this number was ever used.
    pub(super) fn seal(&mut self, cursors: &Cursors, last: u64) -> Result<(), StoreError> {
        self.write(cursors, self.reserved, last)
    }

    fn write(&mut self, cursors: &Cursors, reserved: u64, sealed: u64) -> Result<(), StoreError> {
        let (connection, path) = (&cursors.connection, &cursors.path);
        let insert = "INSERT OR REPLACE INTO life VALUES (1, ?, ?, ?)";
        connection.execute_batch("PRAGMA synchronous=FULL").at(path)?;
        let written =
            connection.execute(insert, params![self.boot, signed(reserved), signed(sealed)]).at(path);
        connection.execute_batch("PRAGMA synchronous=NORMAL").at(path)?;
        written?;
        self.reserved = reserved;
        Ok(())
    }
}
