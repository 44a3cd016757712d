//! How much room a store takes, and from when to when it reaches.

use std::path::Path;

use super::write::size;
use super::{Reader, StoreError, period};
use crate::record::View;

/// What there is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of all files with records.
    pub bytes: u64,
    /// How many files that are.
    pub files: usize,
    /// Number of the last record; 0 where there is none.
    pub last_seq: u64,
    /// Time of the first record, ns since 1970.
    pub oldest_ns: Option<i64>,
    /// Time of the last record, ns since 1970.
    pub newest_ns: Option<i64>,
}

/// Looks at a store from outside.
///
/// # Errors
/// [`StoreError`] where it cannot be read.
pub fn usage(dir: &Path, reader: &Reader) -> Result<Usage, StoreError> {
    let names = period::list(dir)?;
    let mut usage = Usage { files: names.len(), ..Usage::default() };
    for name in &names {
        usage.bytes += size(&dir.join(name.to_string()))?;
    }
    let time = |body: &[u8]| View::parse(body).ok().map(|view| view.time_ns());
    usage.oldest_ns = reader.after(0, 1)?.first().and_then(|first| time(&first.body));
    if let Some(newest) = reader.newest()? {
        usage.last_seq = newest.seq;
        usage.newest_ns = time(&newest.body);
    }
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::testing::{backup, records};
    use crate::store::{Retention, Store};

    #[test]
    fn a_store_tells_how_far_it_reaches() {
        let dir = tempfile::TempDir::new().unwrap();
        let keep = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
        let mut store = Store::open(dir.path(), keep).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(usage(dir.path(), &reader).unwrap(), Usage::default());
        let night = records(&backup());
        store.append(&night).unwrap();
        let found = usage(dir.path(), &reader).unwrap();
        let (first, last) = (&night[0], &night[night.len() - 1]);
        assert_eq!((found.files, found.last_seq), (1, last.seq));
        assert_eq!((found.oldest_ns, found.newest_ns), (Some(first.time_ns), Some(last.time_ns)));
        let written: usize = night.iter().map(|record| record.body.len()).sum();
        assert!(found.bytes > written as u64, "{found:?}");
    }
}
