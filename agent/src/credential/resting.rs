//! Credentials at rest: files that a scan comes across, for the inventory. They are looked at, not opened.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use spoor_wire::rule::InodeKey;

use super::catalogue::rule;
use super::files::pinned;
use super::scan::Scanner;
use crate::event::{Matched, OpenedFile, Text};

/// Most files that are listed.
const FILES_MAX: usize = 8_192;
/// Most entries looked at in directories whose files are credentials whatever their names, and how deep.
const WALKED_MAX: usize = 16_384;
const DEPTH_MAX: usize = 6;

/// Files as they were found.
#[derive(Debug, Default)]
pub struct RestingFiles {
    files: BTreeMap<PathBuf, Resting>,
    walked: usize,
    /// Files beyond the bound.
    pub files_unlisted: u64,
    /// Directories that were not looked into, or not to the end: too deep, or too much.
    pub dirs_unlisted: u64,
}

/// A credential at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resting {
    /// As the kernel would tell of it.
    pub file: OpenedFile,
    /// When it was written last, seconds since 1970.
    pub written: i64,
}

impl RestingFiles {
    /// Each file once, by path.
    pub fn files(&self) -> impl Iterator<Item = &Resting> {
        self.files.values()
    }

    /// Forgets all but what the config names: where it says what is to be watched, nothing else leaves a trace.
    pub fn keep_declared(&mut self) {
        self.files.retain(|_, file| file.file.rule == rule(0, true));
    }

    #[cfg(test)]
    pub(crate) fn of(files: Vec<Resting>) -> Self {
        let path = |file: &Resting| PathBuf::from(String::from_utf8(file.file.path.bytes.clone()).unwrap());
        RestingFiles {
            files: files.into_iter().map(|file| (path(&file), file)).collect(),
            ..RestingFiles::default()
        }
    }
}

impl Scanner {
    /// A file that is a credential by its place.
    pub(super) fn rests(&mut self, real: &Path, meta: &Metadata) {
        if !meta.is_file() || self.resting.files.contains_key(real) {
            return;
        }
        if self.resting.files.len() >= FILES_MAX {
            self.resting.files_unlisted += 1;
            return;
        }
        let InodeKey { ino, dev, .. } = self.inode_key(real, meta);
        let file = OpenedFile {
            path: Text { bytes: real.as_os_str().as_bytes().to_vec(), truncated: false },
            dev,
            ino,
            generation: 0,
            rule: rule(self.kind, true),
            matched: Matched::Name,
            flags: 0,
            mode: meta.mode(),
            owner: meta.uid(),
            links: u32::try_from(meta.nlink()).unwrap_or(u32::MAX),
            backing: false,
        };
        self.resting.files.insert(real.to_owned(), Resting { file, written: meta.mtime() });
    }

    /// All files below a directory, which are credentials whatever their names. Links are not followed: where they lead
    /// is another place.
    pub(super) fn walk(&mut self, dir: &Path) {
        let mut left = vec![(dir.to_owned(), 0)];
        while let Some((dir, depth)) = left.pop() {
            if depth > DEPTH_MAX || self.resting.walked >= WALKED_MAX {
                self.resting.dirs_unlisted += 1;
                continue;
            }
            // What cannot be listed was told when the directory was marked.
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                self.resting.walked += 1;
                if self.resting.walked > WALKED_MAX {
                    self.resting.dirs_unlisted += 1;
                    break;
                }
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    left.push((path, depth + 1));
                } else if let Some(meta) = pinned(&path) {
                    // Their owner may swap directories for links while we look.
                    self.rests(&path, &meta);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credentials;
    use crate::credential::Catalogue;
    use crate::credential::scan::Scan;

    fn scan(home: &Path, declared: &[&str]) -> Scan {
        let paths = declared.iter().map(|path| home.join(path).to_str().unwrap().to_owned()).collect();
        let catalogue = Catalogue::new(&Credentials { paths, ..Credentials::default() }).unwrap();
        catalogue.scan_with(&[home.to_owned()], Vec::new())
    }

    fn listed(scan: &Scan, home: &Path) -> Vec<String> {
        let paths = scan.resting.files().map(|file| {
            let path = String::from_utf8(file.file.path.bytes.clone()).unwrap();
            path.strip_prefix(home.to_str().unwrap()).map(|path| path.trim_start_matches('/').to_owned())
        });
        paths.flatten().collect()
    }

    fn put(home: &Path, path: &str) {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    #[test]
    fn credentials_are_listed_and_their_neighbours_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for path in [".netrc", "notes", ".ssh/id_work", ".ssh/id_work.pub", "secrets/a/b", "token"] {
            put(&home, path);
        }
        std::os::unix::fs::symlink("../notes", home.join("secrets/link")).unwrap();
        let found = scan(&home, &["secrets/**", "token"]);
        assert_eq!(listed(&found, &home), [".netrc", ".ssh/id_work", "secrets/a/b", "token"]);
        let file = found.resting.files().find(|file| file.file.path.bytes.ends_with(b".netrc")).unwrap();
        let meta = std::fs::metadata(home.join(".netrc")).unwrap();
        assert_eq!((file.file.ino, file.file.owner, file.file.mode), (meta.ino(), meta.uid(), meta.mode()));
        assert_eq!(file.written, meta.mtime());
    }

    #[test]
    fn a_directory_that_became_a_link_lists_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        put(&home, "real/secret");
        std::os::unix::fs::symlink("real", home.join("swapped")).unwrap();
        let mut scanner = Scanner::default();
        scanner.walk(&home.join("swapped"));
        assert_eq!(scanner.resting.files.len(), 0);
        scanner.walk(&home.join("real"));
        assert_eq!(scanner.resting.files.len(), 1);
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        put(&home, "s/1/2/3/4/5/6/7/deep");
        put(&home, "s/near");
        let mut scanner = Scanner::default();
        scanner.walk(&home.join("s"));
        assert_eq!((scanner.resting.files.len(), scanner.resting.dirs_unlisted), (1, 1));
        scanner.resting.walked = WALKED_MAX;
        scanner.walk(&home.join("s"));
        assert_eq!(scanner.resting.dirs_unlisted, 2);
        let meta = std::fs::metadata(home.join("s/near")).unwrap();
        (0..=FILES_MAX).for_each(|number| scanner.rests(&home.join(number.to_string()), &meta));
        assert_eq!((scanner.resting.files.len(), scanner.resting.files_unlisted), (FILES_MAX, 2));
    }
}
