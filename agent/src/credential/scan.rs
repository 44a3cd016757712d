//! What is there now: inodes and directories for the kernel to match.
//!
//! Names alone do not do: a mount point hides the names above it, a hard link has another name, a wildcard has none. The
//! scan is bounded, and what it could not do is told.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use spoor_wire::rule::{EntryKey, HASH_START, InodeKey, hash_bytes};

use super::asked::{Asked, is_nothing};
use super::catalogue::{Catalogue, rule};
use super::generation::generation_of;
use super::marks::{KEYS_MAX, Key, Marks};
use super::mounts::{self, Mount};
use super::resting::RestingFiles;
use super::watch::Watch;
use crate::config::pattern::{Names, Part};

/// Most directory entries looked at for wildcards.
const VISITED_MAX: usize = 65_536;
/// Most problems that are told.
const PROBLEMS_MAX: usize = 256;
/// Most home directories.
const HOMES_MAX: usize = 8_192;

/// Keys for the kernel, each with its rule, in no order that means anything but always the same.
#[derive(Debug, Default)]
pub struct Scan {
    /// Files.
    pub inodes: Vec<(InodeKey, u32)>,
    /// Directories: all below them.
    pub dirs: Vec<(InodeKey, u32)>,
    /// Names in directories.
    pub entries: Vec<(EntryKey, u32)>,
    /// Declared paths whose directory is not there yet: scan again later.
    pub missing: Vec<String>,
    /// What could not be done.
    pub problems: Vec<ScanProblem>,
    /// Credentials at rest.
    pub resting: RestingFiles,
}

/// What a scan could not do.
#[derive(Debug, thiserror::Error)]
pub enum ScanProblem {
    /// A file or directory could not be looked at.
    #[error("cannot look at {}: {io}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: io::Error,
    },
    /// A link leads out of a home directory; following it would let its owner choose what the whole host watches.
    #[error("{} leads out of its home directory and is not followed", path.display())]
    LeavesHome {
        /// Which.
        path: PathBuf,
    },
    /// Somebody else may have chosen the file; a rule for it would let them choose what the whole host watches.
    #[error("{} is not its directory's owner's, or behind a link: it is watched by its name only", path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A pattern would mark the root of the host.
    #[error("{} is the root of the host and is not watched", path.display())]
    IsRoot {
        /// Which.
        path: PathBuf,
    },
    /// There is more than a scan looks at.
    #[error("stopped at {what}: there are more than {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        most: usize,
    },
}

impl Catalogue {
    /// Looks at the host.
    #[must_use]
    pub fn scan(&self) -> Scan {
        let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
        self.scan_with(&homes(&passwd), mounts::of("self"))
    }

    pub(super) fn scan_with(&self, homes: &[PathBuf], mounts: Vec<Mount>) -> Scan {
        let mut scanner = Scanner { mounts, ..Scanner::default() };
        if homes.len() > HOMES_MAX {
            scanner.problem(ScanProblem::TooMany { what: "home directories", most: HOMES_MAX });
        }
        let homes: Vec<PathBuf> =
            homes.iter().take(HOMES_MAX).filter(|home| scanner.asked.there(home)).cloned().collect();
        for (index, kind) in self.kinds.iter().enumerate() {
            scanner.kind = self.number(index);
            // The first kind is the config's: what it names may be a directory, or missing, and links are followed.
            scanner.declared = index == 0;
            for watch in &kind.watches {
                scanner.watch(watch, &homes);
            }
            scanner.mark_mounts(&kind.mounts);
        }
        scanner.look(self, &homes);
        scanner.finish()
    }
}

/// Home directories of a passwd file, and root's.
fn homes(passwd: &[u8]) -> Vec<PathBuf> {
    let lines = passwd.split(|byte| *byte == b'\n');
    let fields = lines.filter_map(|line| line.split(|byte| *byte == b':').nth(5));
    let absolute = fields.filter(|home| home.len() > 1 && home.starts_with(b"/"));
    let mut homes: Vec<PathBuf> =
        absolute.map(|home| PathBuf::from(std::ffi::OsString::from_vec(home.to_vec()))).collect();
    homes.push(PathBuf::from("/root"));
    homes.sort();
    homes.dedup();
    homes
}

#[derive(Default)]
pub(super) struct Scanner {
    mounts: Vec<Mount>,
    pub(super) kind: u32,
    declared: bool,
    visited: usize,
    /// Places looked at for files, and files found.
    pub(super) looked: usize,
    pub(super) found: usize,
    marks: Marks,
    missing: Vec<String>,
    problems: Vec<ScanProblem>,
    full: bool,
    /// What one scan need not ask twice.
    pub(super) asked: Asked,
    pub(super) resting: RestingFiles,
}

impl Scanner {
    fn watch(&mut self, watch: &Watch, homes: &[PathBuf]) {
        match watch {
            Watch::Name { .. } => {}
            Watch::Entry(path) => self.file(path),
            Watch::Below { home: false, base, whole } => {
                for dir in self.expand(Path::new("/"), base) {
                    self.dir(&dir, None, *whole);
                }
            }
            Watch::Below { home: true, base, whole } => {
                for home in homes {
                    for dir in self.expand(home, base) {
                        self.dir(&dir, Some(home), *whole);
                    }
                }
            }
        }
    }

    /// A plain path: its name in its directory, and of a declared one, what is there now.
    fn file(&mut self, text: &str) {
        let path = Path::new(text);
        if !self.entry(path) && self.declared {
            self.missing.push(text.to_owned());
        }
        if !self.declared {
            return;
        }
        // What the path leads to, where it is a link; the kernel sees only that.
        let Some(real) = self.resolve(path) else {
            return;
        };
        match std::fs::symlink_metadata(&real) {
            Ok(meta) if meta.is_dir() => self.dir(&real, None, true),
            Ok(meta) => {
                self.rests(&real, &meta);
                let key = self.inode_key(&real, &meta);
                // An inode number is given to another file as soon as this one is replaced. Where the file system tells no
                // generation, only a file with other names is worth that risk; this name is watched in its directory.
                match generation_of(&real) {
                    Some(generation) => self.add(Key::Inode(InodeKey { generation, ..key }), true),
                    None if meta.nlink() > 1 => self.add(Key::Inode(key), true),
                    None => {}
                }
                if real != path {
                    self.entry(&real);
                    self.link_dir(path);
                }
            }
            Err(io) => self.unreadable(&real, io),
        }
    }

    /// Where a declared file is a link into its own directory (`..data/token`), the directory is marked: the link's
    /// target is swapped by renaming.
    fn link_dir(&mut self, path: &Path) {
        let target = std::fs::read_link(path).unwrap_or_default();
        let inside = target.as_os_str().as_bytes().starts_with(b"..data/");
        if let (true, Some(dir)) = (inside, path.parent()) {
            self.dir(dir, None, false);
        }
    }

    /// Marks a name in its directory, if that exists.
    fn entry(&mut self, path: &Path) -> bool {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        let Some(dir) = self.resolve(dir) else {
            return false;
        };
        let Ok(meta) = std::fs::symlink_metadata(&dir) else {
            return false;
        };
        if !meta.is_dir() {
            return false;
        }
        let InodeKey { ino, dev, .. } = self.inode_key(&dir, &meta);
        let name = hash_bytes(HASH_START, name.as_bytes());
        self.add(Key::Entry(EntryKey { dir_ino: ino, name, dev, pad: 0 }), true);
        true
    }

    /// Marks a directory and the mounts below it.
    fn dir(&mut self, path: &Path, home: Option<&PathBuf>, whole: bool) {
        let Some(real) = self.resolve(path) else {
            return;
        };
        if let Some(home) = home
            && let Some(home) = self.resolve(home)
            && !real.starts_with(&home)
        {
            self.problem(ScanProblem::LeavesHome { path: path.to_owned() });
            return;
        }
        if real.parent().is_none() {
            self.problem(ScanProblem::IsRoot { path: path.to_owned() });
            return;
        }
        let below = |mount: &&Mount| {
            // Bytes first: there may be hundreds of mounts, and few are below.
            let point = Path::new(std::ffi::OsStr::from_bytes(&mount.point));
            mount.point.starts_with(real.as_os_str().as_bytes()) && point != real && point.starts_with(&real)
        };
        let points = self.mounts.iter().filter(below).map(|mount| mount.point.clone()).collect::<Vec<_>>();
        self.mark(&real, whole);
        for point in points {
            self.mark(Path::new(std::ffi::OsStr::from_bytes(&point)), whole);
        }
    }

    fn mark(&mut self, dir: &Path, whole: bool) {
        match std::fs::symlink_metadata(dir) {
            Ok(meta) if meta.is_dir() => {
                let key = self.inode_key(dir, &meta);
                self.add(Key::Dir(key), whole);
                if whole {
                    self.walk(dir);
                }
            }
            Ok(_) => {}
            Err(io) => self.unreadable(dir, io),
        }
    }

    /// Marks mounts whose place says what they hold: what is in them has any name. Only those in memory: a CSI volume on
    /// a disk is a database, not a secret.
    fn mark_mounts(&mut self, texts: &[String]) {
        let is = |mount: &&Mount| {
            if texts.is_empty() || !mount.memory {
                return false;
            }
            let point = String::from_utf8_lossy(&mount.point);
            texts.iter().any(|text| point.contains(text.as_str()))
        };
        let points = self.mounts.iter().filter(is).map(|mount| mount.point.clone()).collect::<Vec<_>>();
        for point in points {
            self.mark(Path::new(std::ffi::OsStr::from_bytes(&point)), true);
        }
    }

    /// Directories that exist. Wildcards do not follow links: those lead elsewhere, and in circles.
    fn expand(&mut self, root: &Path, parts: &[Part]) -> Vec<PathBuf> {
        let mut found = vec![root.to_owned()];
        for part in parts {
            found = match part {
                Part::Literal(name) => found.iter().map(|dir| dir.join(name)).collect(),
                Part::Wild(name) => found.iter().flat_map(|dir| self.list(dir, name)).collect(),
                Part::Deep => found,
            };
        }
        found
    }

    fn list(&mut self, dir: &Path, wild: &str) -> Vec<PathBuf> {
        if !self.asked.there(dir) {
            return Vec::new();
        }
        let Ok(names) = Names::of(wild) else {
            return Vec::new();
        };
        let entries = match self.asked.list(dir) {
            Ok(entries) => entries,
            Err(io) => {
                self.unreadable(dir, io);
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for (name, is_dir) in entries.iter() {
            self.visited += 1;
            if self.visited > VISITED_MAX {
                if self.visited == VISITED_MAX + 1 {
                    self.problem(ScanProblem::TooMany { what: "directory entries", most: VISITED_MAX });
                }
                break;
            }
            if *is_dir && names.is_match(name) {
                found.push(dir.join(name));
            }
        }
        found
    }

    /// The real path, or [`None`] where there is nothing.
    pub(super) fn resolve(&mut self, path: &Path) -> Option<PathBuf> {
        if path.parent().is_some_and(|dir| !self.asked.there(dir)) {
            return None;
        }
        self.asked.resolve(path).map_err(|io| self.unreadable(path, io)).ok()
    }

    pub(super) fn inode_key(&self, real: &Path, meta: &Metadata) -> InodeKey {
        let mut dev = mounts::s_dev(meta.dev());
        if !self.mounts.iter().any(|mount| mount.btrfs) {
            return InodeKey { ino: meta.ino(), dev, generation: 0 };
        }
        // On btrfs `stat` tells a number of the subvolume. The last of the deepest mounts is the one on top.
        let holds = |mount: &&Mount| real.starts_with(Path::new(std::ffi::OsStr::from_bytes(&mount.point)));
        let mount = self.mounts.iter().filter(holds).max_by_key(|mount| mount.point.len());
        if let Some(mount) = mount
            && mount.btrfs
        {
            dev = mount.dev;
        }
        InodeKey { ino: meta.ino(), dev, generation: 0 }
    }

    pub(super) fn add(&mut self, key: Key, sure: bool) {
        let rule = rule(self.kind, sure);
        let fits = self.marks.add(key, rule);
        if !fits && !self.full {
            self.full = true;
            self.problem(ScanProblem::TooMany { what: "keys", most: KEYS_MAX });
        }
    }

    fn unreadable(&mut self, path: &Path, io: io::Error) {
        if !is_nothing(&io) {
            self.problem(ScanProblem::Unreadable { path: path.to_owned(), io });
        }
    }

    pub(super) fn problem(&mut self, problem: ScanProblem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    pub(super) fn finish(self) -> Scan {
        let (inodes, dirs, entries) = self.marks.sorted();
        let Scanner { missing, problems, resting, .. } = self;
        Scan { inodes, dirs, entries, missing, problems, resting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;

    fn catalogue(paths: &[&str]) -> Catalogue {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Catalogue::new(&Credentials { paths, ..Credentials::default() }).unwrap()
    }

    fn key_of(path: &Path) -> InodeKey {
        let meta = std::fs::metadata(path).unwrap();
        InodeKey { ino: meta.ino(), dev: mounts::s_dev(meta.dev()), generation: 0 }
    }

    /// As a rule names the file: with its generation, where the file system tells one.
    fn life_of(path: &Path) -> Vec<(InodeKey, u32)> {
        let known = generation_of(path).map(|generation| InodeKey { generation, ..key_of(path) });
        known.into_iter().map(|key| (key, 1)).collect()
    }

    /// Scans for one declared path only.
    fn scan(path: &Path) -> Scan {
        let catalogue = catalogue(&[path.to_str().unwrap()]);
        let mut scan = catalogue.scan_with(&[], Vec::new());
        scan.entries.retain(|(_, rule)| *rule < 2);
        scan.dirs.retain(|(_, rule)| *rule < 2);
        scan.inodes.retain(|(_, rule)| *rule < 2);
        scan
    }

    fn entry(dir: &Path, name: &str) -> EntryKey {
        let InodeKey { ino, dev, .. } = key_of(dir);
        EntryKey { dir_ino: ino, name: hash_bytes(HASH_START, name.as_bytes()), dev, pad: 0 }
    }

    #[test]
    fn a_file_is_known_by_inode_and_by_its_name_in_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let found = scan(&path);
        assert_eq!(found.entries, [(entry(dir.path(), "token"), 1)]);
        assert!(found.inodes.is_empty() && found.missing.is_empty());
        std::fs::write(&path, "x").unwrap();
        let found = scan(&path);
        assert_eq!(found.inodes, life_of(&path));
        std::fs::hard_link(&path, dir.path().join("other")).unwrap();
        assert_eq!(scan(&path).inodes.len(), 1, "a file with other names is known by its inode everywhere");
        assert_eq!(found.entries, [(entry(dir.path(), "token"), 1)]);
    }

    #[test]
    fn a_missing_directory_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet");
        assert_eq!(scan(&path).missing, [path.to_str().unwrap()]);
        std::fs::create_dir(dir.path().join("not")).unwrap();
        assert!(scan(&path).missing.is_empty(), "the next scan looks anew");
    }

    #[test]
    fn of_a_directory_that_is_not_there_is_asked_once_and_of_nothing_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let (gone, file) = (dir.path().join("gone"), dir.path().join("file"));
        std::fs::write(&file, "").unwrap();
        let mut scanner = Scanner::default();
        assert!(scanner.asked.there(dir.path()) && !scanner.asked.there(&gone.join("a/b")));
        assert!(!scanner.asked.there(&file.join("a")), "there is nothing in a file");
        std::fs::create_dir_all(gone.join("a/b")).unwrap();
        assert!(
            !scanner.asked.there(&gone.join("a/c")),
            "what is known of the directory above is not asked again"
        );
        assert!(Scanner::default().asked.there(&gone.join("a/b")));
        std::os::unix::fs::symlink(&gone, dir.path().join("link")).unwrap();
        assert!(scanner.asked.there(&dir.path().join("link")), "a link is what it leads to");
    }

    #[test]
    fn a_link_is_followed_to_what_it_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("..1")).unwrap();
        std::fs::write(dir.path().join("..1/token"), "x").unwrap();
        std::os::unix::fs::symlink("..1", dir.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/token", dir.path().join("token")).unwrap();
        let found = scan(&dir.path().join("token"));
        assert_eq!(found.inodes, life_of(&dir.path().join("..1/token")));
        assert!(found.entries.contains(&(entry(&dir.path().join("..1"), "token"), 1)));
        assert_eq!(found.dirs, [(key_of(dir.path()), 0)]);
    }

    #[test]
    fn patterns_mark_directories() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("a/keys")).unwrap();
        std::fs::create_dir_all(real.join("b/keys")).unwrap();
        std::os::unix::fs::symlink("/", real.join("loop")).unwrap();
        let found = scan(&real.join("*/keys/**"));
        let dirs = found.dirs.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        assert_eq!(dirs.len(), 2);
        assert!(dirs.contains(&key_of(&real.join("a/keys"))));
        assert!(found.dirs.iter().all(|(_, rule)| *rule == 1));
        assert_eq!(scan(&real.join("a/*.key")).dirs, [(key_of(&real.join("a")), 0)]);
        assert_eq!(scan(&real.join("a")).dirs, [(key_of(&real.join("a")), 1)]);
    }

    #[test]
    fn a_home_marks_its_own_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::os::unix::fs::symlink("/", home.path().join(".kube")).unwrap();
        let homes = [home.path().to_owned(), other.path().to_owned()];
        let found = catalogue(&[]).scan_with(&homes, Vec::new());
        assert!(found.dirs.iter().any(|(key, _)| *key == key_of(&home.path().join(".ssh"))));
        assert!(!found.dirs.iter().any(|(key, _)| *key == key_of(Path::new("/"))));
        assert!(found.problems.iter().any(|problem| matches!(problem, ScanProblem::LeavesHome { .. })));
    }

    #[test]
    fn the_root_is_never_marked() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("all")).unwrap();
        let found = scan(&dir.path().join("all/**"));
        assert!(found.dirs.is_empty());
        assert!(matches!(found.problems.as_slice(), [ScanProblem::IsRoot { .. }]));
    }

    #[test]
    fn mounts_of_pods() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("volumes/kubernetes.io~secret/db");
        std::fs::create_dir_all(&volume).unwrap();
        let point = volume.as_os_str().as_bytes().to_vec();
        let mount = |memory| Mount { id: 1, dev: 1, point: point.clone(), btrfs: false, memory };
        let catalogue = catalogue(&[]);
        let on_disk = catalogue.scan_with(&[], vec![mount(false)]);
        assert!(!on_disk.dirs.iter().any(|(key, _)| *key == key_of(&volume)));
        let found = catalogue.scan_with(&[], vec![mount(true)]);
        let (_, rule) = found.dirs.iter().find(|(key, _)| *key == key_of(&volume)).unwrap();
        assert_eq!(catalogue.kind(*rule, b"/app/conf/password").unwrap().id, "k8s-secret-volume");
        assert!(catalogue.kind(*rule, b"/app/conf/ca.crt").is_none());
    }

    #[test]
    fn homes_of_a_passwd_file() {
        let found =
            homes(b"root:x:0:0:root:/root:/bin/sh\nbad\nnobody:x:1:1::/:/bin/false\na:x:2:2::/srv/a:\n");
        assert_eq!(found, [PathBuf::from("/root"), PathBuf::from("/srv/a")]);
    }

    #[test]
    fn this_host() {
        let found = catalogue(&[]).scan();
        assert!(found.dirs.len() < 10_000);
    }
}
