//! Opens a credential a second time and says what it is, without its secret.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::catalogue::{Catalogue, Kind};
use super::parse::{self, Facts, Parser};
use super::{Credential, Describe, mounts, redact};
use crate::event::{OpenedFile, ProcessKey};

/// Most bytes of a file that are read. A longer file is not read at all: half a format is none.
const READ_MAX: u64 = 64 << 10;
/// Most descriptions remembered.
const CACHE_MAX: usize = 4096;

/// Describes opened files.
#[derive(Debug)]
pub struct Describer {
    catalogue: Arc<Catalogue>,
    cache: HashMap<Known, Arc<Credential>>,
    /// Oldest first.
    order: VecDeque<Known>,
}

/// A file in a certain state, under a certain name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    dev: u32,
    ino: u64,
    mtime_ns: i128,
    size: u64,
    rule: u32,
    path: Vec<u8>,
}

impl Describer {
    /// With an empty memory.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Describer {
        Describer { catalogue, cache: HashMap::new(), order: VecDeque::new() }
    }

    fn remember(&mut self, known: Known, credential: &Arc<Credential>) {
        if self.order.len() >= CACHE_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.cache.remove(&oldest);
        }
        self.order.push_back(known.clone());
        self.cache.insert(known, Arc::clone(credential));
    }
}

impl Describe for Describer {
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let catalogue = Arc::clone(&self.catalogue);
        let path = &file.path.bytes;
        let kind = catalogue.kind(file.rule, path)?;
        // Without identifiers to read there is no reason to touch the file.
        let opened = if kind.parser == Parser::None { None } else { open_same(file, by) };
        let Some((opened, meta)) = opened else {
            return Some(Arc::new(credential(kind, path, Facts::default())));
        };
        let known = Known {
            dev: file.dev,
            ino: file.ino,
            mtime_ns: i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec()),
            size: meta.size(),
            rule: file.rule,
            path: path.clone(),
        };
        if let Some(credential) = self.cache.get(&known) {
            return Some(Arc::clone(credential));
        }
        let facts = read(&opened, &meta).map(|bytes| parse::parse(kind.parser, &bytes));
        let credential = Arc::new(credential(kind, path, facts.unwrap_or_default()));
        self.remember(known, &credential);
        Some(credential)
    }
}

fn credential(kind: &Kind, path: &[u8], facts: Facts) -> Credential {
    let name = match facts.identifiers.first() {
        Some((_, value)) => value.clone(),
        None => redact::printable(path),
    };
    Credential {
        id: format!("{}:{name}", kind.id),
        kind: kind.id.clone(),
        path: path.to_vec(),
        identifiers: facts.identifiers,
        expects: facts.expects,
    }
}

/// The file the kernel spoke of, or none: another file of that name tells nothing about it.
fn open_same(file: &OpenedFile, by: ProcessKey) -> Option<(File, Metadata)> {
    let path = Path::new(OsStr::from_bytes(&file.path.bytes));
    if file.path.truncated || !path.is_absolute() {
        return None;
    }
    // A path in the opener's own mounts, while it lives; else in ours.
    let mut inside = PathBuf::from(format!("/proc/{}/root", by.tgid));
    inside.as_mut_os_string().push(path);
    let process = by.tgid.to_string();
    [(inside.as_path(), process.as_str()), (path, "self")].into_iter().find_map(|(path, process)| {
        let opened = open(path)?;
        let meta = opened.metadata().ok()?;
        let dev = mounts::dev_of(&opened, meta.dev(), process);
        (meta.is_file() && meta.ino() == file.ino && dev == file.dev).then_some((opened, meta))
    })
}

/// Opens a path only where a regular file lies; what else there is may do things when opened.
fn open(path: &Path) -> Option<File> {
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path).ok()
}

/// What is in the file; wiped when dropped.
fn read(file: &File, meta: &Metadata) -> Option<Zeroizing<Vec<u8>>> {
    if meta.size() > READ_MAX {
        return None;
    }
    // All room at once: a buffer that grows leaves its former selves behind.
    let room = usize::try_from(READ_MAX).ok()? + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(READ_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() < room).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;
    use crate::event::{Matched, Text};

    fn opened(path: &Path, rule: u32) -> OpenedFile {
        let meta = std::fs::metadata(path).unwrap();
        let file = File::open(path).unwrap();
        OpenedFile {
            path: Text { bytes: path.as_os_str().as_bytes().to_vec(), truncated: false },
            dev: mounts::dev_of(&file, meta.dev(), "self"),
            ino: meta.ino(),
            generation: 0,
            rule,
            matched: Matched::Inode,
            flags: 0,
            mode: 0o100_600,
            owner: 0,
            links: 1,
            backing: false,
        }
    }

    fn describer(path: &Path) -> Describer {
        let paths = vec![path.to_str().unwrap().to_owned()];
        Describer::new(Arc::new(Catalogue::new(&Credentials { paths, catalogue: None }).unwrap()))
    }

    const ME: ProcessKey = ProcessKey { tgid: u32::MAX, start_ns: 0 };
    const AWS: &str = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = CANARY\n";

    #[test]
    fn a_file_is_described_once_and_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(&path);
        let first = describer.describe(&opened(&path, 1), ME).unwrap();
        assert_eq!(first.id, "declared:AKIAIOSFODNN7EXAMPLE");
        assert_eq!(first.identifiers[1], ("account_id".to_owned(), "581039954779".to_owned()));
        let again = describer.describe(&opened(&path, 1), ME).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        std::fs::write(&path, AWS.replace("AKIA", "ASIA") + "\n").unwrap();
        let changed = describer.describe(&opened(&path, 1), ME).unwrap();
        assert_eq!(changed.id, "declared:ASIAIOSFODNN7EXAMPLE");
    }

    #[test]
    fn the_openers_own_mounts_are_tried_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let me = ProcessKey { tgid: std::process::id(), start_ns: 0 };
        let found = describer(&path).describe(&opened(&path, 1), me).unwrap();
        assert_eq!(found.id, "declared:AKIAIOSFODNN7EXAMPLE");
    }

    #[test]
    fn another_file_of_that_name_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let (mut other_inode, mut other_device, mut cut) =
            (opened(&path, 1), opened(&path, 1), opened(&path, 1));
        other_inode.ino += 1;
        other_device.dev += 1;
        cut.path.truncated = true;
        for file in [other_inode, other_device, cut] {
            let found = describer(&path).describe(&file, ME).unwrap();
            assert_eq!(found.id, format!("declared:{}", path.display()));
            assert!(found.identifiers.is_empty());
        }
    }

    #[test]
    fn links_pipes_and_long_files_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (path, link, pipe) = (dir.join("key"), dir.join("link"), dir.join("pipe"));
        std::fs::write(&path, AWS).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(open(&path).is_some());
        assert!(open(&link).is_none());
        assert!(open(&pipe).is_none());
        std::fs::write(&path, AWS.to_owned() + &" ".repeat(70_000)).unwrap();
        let found = describer(&path).describe(&opened(&path, 1), ME).unwrap();
        assert!(found.identifiers.is_empty());
    }

    #[test]
    fn what_is_no_credential_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("key");
        std::fs::write(&path, AWS).unwrap();
        let mut describer = describer(Path::new("/some/where/else"));
        assert!(describer.describe(&opened(&path, 0), ME).is_none());
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut describer = describer(Path::new("/a"));
        let one = Arc::new(Credential {
            id: String::new(),
            kind: String::new(),
            path: Vec::new(),
            identifiers: Vec::new(),
            expects: Vec::new(),
        });
        for ino in 0..5000 {
            let known = Known { dev: 0, ino, mtime_ns: 0, size: 0, rule: 0, path: Vec::new() };
            describer.remember(known, &one);
        }
        assert_eq!((describer.cache.len(), describer.order.len()), (CACHE_MAX, CACHE_MAX));
    }
}
