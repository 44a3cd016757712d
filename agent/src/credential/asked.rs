//! What one scan asks the host, each once: patterns of many kinds lie beneath the same few directories, of which most are not there.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foldhash::{HashMap, HashSet};
use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs,
};

/// Most entries of a directory that are read: more than a scan looks at.
const READ_MAX: usize = 65_537;
/// Most entries of a directory that is kept in mind.
const KEPT_MAX: usize = 4_096;

/// Questions about names in one directory after which it is listed, and further ones are answered by that.
const LISTED_AFTER: u32 = 4;
/// Not one of more bytes than that, as its file system tells its size, or of more entries: `/usr/bin` is somebody's home on
/// every Debian, and to read a thousand names takes longer than to ask for the fifty that a home may have.
const LISTED_BYTES: u64 = 16 * 1_024;
const LISTED_MAX: usize = 512;
/// File systems in which a name that is not listed is not there. On others one may come into being as it is asked for (autofs, FUSE).
const TELL_ALL: [FsType; 6] = [
    EXT4_SUPER_MAGIC,
    XFS_SUPER_MAGIC,
    BTRFS_SUPER_MAGIC,
    TMPFS_MAGIC,
    OVERLAYFS_SUPER_MAGIC,
    FsType(0x8584_58f6), // `RAMFS_MAGIC`
];

/// Names in a directory, and whether each is a directory itself.
type Entries = Rc<[(OsString, bool)]>;

/// Answers of the host, by path. A path is hashed as the bytes that it is: by its components, that takes longer than most questions.
#[derive(Debug, Default)]
pub(super) struct Asked {
    there: HashMap<OsString, bool>,
    real: HashMap<OsString, PathBuf>,
    listed: HashMap<OsString, Entries>,
    names: HashMap<OsString, Names>,
}

/// What is known of the names in a directory.
#[derive(Debug)]
enum Names {
    /// It was asked for so many.
    Asked(u32),
    /// These, and no others.
    All(HashSet<OsString>),
    /// Each has to be asked for.
    Untold,
}

impl Asked {
    /// Whether there is such a directory, or that cannot be told. Most places of the catalogue do not exist on a host, and
    /// many lie beneath one directory: of one that is not there, nobody asks what is in it.
    pub(super) fn there(&mut self, dir: &Path) -> bool {
        if let Some(there) = self.there.get(dir.as_os_str()) {
            return *there;
        }
        let above = dir.parent().is_none_or(|above| self.there(above));
        let there = above
            && !self.lacks(dir)
            && std::fs::metadata(dir).map_or_else(|io| !is_nothing(&io), |meta| meta.is_dir());
        self.there.insert(dir.into(), there);
        there
    }

    /// The path without links. What is no link itself lies where its directory does.
    pub(super) fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return std::fs::canonicalize(path);
        };
        if self.lacks(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if std::fs::symlink_metadata(path)?.is_symlink() {
            return std::fs::canonicalize(path);
        }
        if let Some(real) = self.real.get(dir.as_os_str()) {
            return Ok(real.join(name));
        }
        let real = std::fs::canonicalize(dir)?;
        let path = real.join(name);
        self.real.insert(dir.into(), real);
        Ok(path)
    }

    /// Whether the directory of a path is known to have nothing of its name.
    pub(super) fn lacks(&mut self, path: &Path) -> bool {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return false };
        match self.names.get_mut(dir.as_os_str()) {
            Some(Names::All(names)) => !names.contains(name),
            Some(Names::Untold) => false,
            Some(Names::Asked(times)) if *times < LISTED_AFTER => {
                *times += 1;
                false
            }
            Some(Names::Asked(_)) => {
                let names = self.names_in(dir).map_or(Names::Untold, Names::All);
                let lacks = matches!(&names, Names::All(names) if !names.contains(name));
                self.names.insert(dir.into(), names);
                lacks
            }
            None => {
                self.names.insert(dir.into(), Names::Asked(1));
                false
            }
        }
    }

    /// `None` where not all can be told, or there are too many.
    fn names_in(&mut self, dir: &Path) -> Option<HashSet<OsString>> {
        let kind = statfs(dir).ok()?.filesystem_type();
        let large = || std::fs::metadata(dir).map_or(true, |meta| meta.len() > LISTED_BYTES);
        if !TELL_ALL.contains(&kind) || !self.listed.contains_key(dir.as_os_str()) && large() {
            return None;
        }
        let listed = self.list(dir).ok().filter(|listed| listed.len() <= LISTED_MAX)?;
        Some(listed.iter().map(|(name, _)| name.clone()).collect())
    }

    /// What lies in a directory, in the order in which the host tells it.
    pub(super) fn list(&mut self, dir: &Path) -> io::Result<Entries> {
        if let Some(listed) = self.listed.get(dir.as_os_str()) {
            return Ok(Rc::clone(listed));
        }
        let entries = std::fs::read_dir(dir)?.take(READ_MAX).flatten();
        let entries: Entries = entries
            .map(|entry| (entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_dir())))
            .collect();
        if entries.len() <= KEPT_MAX {
            self.listed.insert(dir.into(), Rc::clone(&entries));
        }
        Ok(entries)
    }
}

/// Whether there is nothing of that name.
pub(super) fn is_nothing(io: &io::Error) -> bool {
    matches!(io.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_resolved_as_the_host_would() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        symlink("b", root.join("a/link")).unwrap();
        symlink("nowhere", root.join("a/dangling")).unwrap();
        symlink("file", root.join("a/b/alias")).unwrap();
        let mut asked = Asked::default();
        for path in [
            "a",
            "a/b",
            "a/b/file",
            "a/b/alias",
            "a/link",
            "a/link/file",
            "a/link/alias",
            "a/../a/link/./file",
            "a/dangling",
            "a/missing",
            "a/b/file/below",
            "missing/file",
            "a/..",
            "a/link/..",
        ] {
            let path = root.join(path);
            let (said, is) = (asked.resolve(&path), fs::canonicalize(&path));
            assert_eq!(said.as_ref().ok(), is.as_ref().ok(), "{}", path.display());
            assert_eq!(said.err().map(|io| io.kind()), is.err().map(|io| io.kind()), "{}", path.display());
        }
        assert_eq!(asked.resolve(Path::new("/")).unwrap(), Path::new("/"));
    }

    #[test]
    fn each_is_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let mut asked = Asked::default();
        let (gone, inside) = (dir.path().join("gone/deeper"), dir.path().join("in"));
        assert!(asked.there(&inside) && !asked.there(&gone) && !asked.there(&dir.path().join("file")));
        let mut listed = asked.list(dir.path()).unwrap().to_vec();
        listed.sort();
        assert_eq!(listed, [("file".into(), false), ("in".into(), true)]);
        fs::create_dir_all(&gone).unwrap();
        fs::write(dir.path().join("new"), "").unwrap();
        assert!(!asked.there(&gone), "as it was when the scan began");
        assert_eq!(asked.list(dir.path()).unwrap().len(), 2);
        assert!(asked.list(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_directory_that_is_asked_often_is_listed_and_answers_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir(root.join("in")).unwrap();
        symlink("in", root.join("link")).unwrap();
        let mut asked = Asked::default();
        for times in 0..3 * LISTED_AFTER {
            for (name, is) in [("in", true), ("link", true), ("gone", false)] {
                assert_eq!(asked.resolve(&root.join(name)).is_ok(), is, "{name}, {times}");
            }
        }
        assert!(matches!(asked.names.get(root.as_os_str()), Some(Names::All(_) | Names::Untold)));
        let fresh = root.join("fresh");
        assert!(!asked.there(&fresh.join("deeper")) && asked.there(&root.join("link")));
        let many = root.join("many");
        fs::create_dir(&many).unwrap();
        for number in 0..=LISTED_MAX {
            fs::write(many.join(format!("{number:0100}")), "").unwrap();
        }
        // Nothing is known for certain of a large one, and of what makes names as they are asked for.
        for _ in 0..2 * LISTED_AFTER {
            assert!(asked.resolve(Path::new("/proc/self/stat")).is_ok());
            assert!(!asked.lacks(Path::new("/proc/self/none")) && !asked.lacks(&many.join("none")));
        }
    }
}
