//! Files of the catalogue that are there now, for the kernel to know by inode: by another name they are the same secret.
//!
//! Such a rule is sure, so nobody may choose its file for others: a link of one's own to a library would make a holder of
//! credentials of every program. What that would take is refused, and such a file is known by its name only.

use std::fs::{File, Metadata, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use spoor_wire::rule::InodeKey;

use super::catalogue::{Catalogue, rule};
use super::generation::generation_of;
use super::marks::Key;
use super::scan::{ScanProblem, Scanner};
use super::watch::Named;
use crate::config::pattern::{Names, Part};

/// Most places looked at: apart from those of the directories, which are worth more.
const LOOKED_MAX: usize = 65_536;
/// Most files known by inode beside those the config names, for which there must be room left.
const FOUND_MAX: usize = 8_192;

impl Scanner {
    /// Looks for all that the catalogue names.
    pub(super) fn look(&mut self, catalogue: &Catalogue, homes: &[PathBuf]) {
        let homes = homes.iter().filter_map(|home| std::fs::canonicalize(home).ok());
        let homes = homes.filter(|home| home.parent().is_some()).collect::<Vec<_>>();
        // The config's own kind has been dealt with, and comes first in any case.
        for (index, kind) in catalogue.kinds().enumerate().skip(1) {
            self.kind = catalogue.number(index);
            for Named { home, parts } in &kind.named {
                if *home {
                    for home in &homes {
                        self.look_below(catalogue, home, Some(home), parts);
                    }
                } else {
                    self.look_below(catalogue, Path::new("/"), None, parts);
                }
            }
        }
    }

    fn look_below(&mut self, catalogue: &Catalogue, root: &Path, home: Option<&Path>, parts: &[Part]) {
        let mut found = vec![root.to_owned()];
        for part in parts {
            found = match part {
                Part::Literal(name) => found.iter().map(|dir| dir.join(name)).collect(),
                Part::Wild(name) => found.iter().flat_map(|dir| self.names_in(dir, name)).collect(),
                // A tree has no bound; its directory is marked as a whole.
                Part::Deep => return,
            };
        }
        for path in found {
            if self.may_look() {
                self.candidate(catalogue, &path, home);
            }
        }
    }

    fn names_in(&mut self, dir: &Path, wild: &str) -> Vec<PathBuf> {
        if !self.asked.there(dir) {
            return Vec::new();
        }
        // What cannot be listed was told when the directories were looked for.
        let (Ok(names), Ok(entries)) = (Names::of(wild), self.asked.list(dir)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, _) in entries.iter() {
            if !self.may_look() {
                break;
            }
            if names.is_match(name) {
                found.push(dir.join(name));
            }
        }
        found
    }

    fn may_look(&mut self) -> bool {
        self.looked += 1;
        if self.looked == LOOKED_MAX + 1 {
            self.problem(ScanProblem::TooMany { what: "places of the catalogue", most: LOOKED_MAX });
        }
        self.looked <= LOOKED_MAX
    }

    fn candidate(&mut self, catalogue: &Catalogue, path: &Path, home: Option<&Path>) {
        let there = path.parent().is_none_or(|dir| self.asked.there(dir));
        if !there || self.asked.lacks(path) || std::fs::symlink_metadata(path).is_err() {
            return;
        }
        // What the patterns except is no secret, and what the config names has its rule.
        let path_bytes = path.as_os_str().as_bytes();
        let Some(real) = catalogue.kind(rule(self.kind, false), path_bytes).and_then(|_| self.resolve(path))
        else {
            return;
        };
        if home.is_some_and(|home| !real.starts_with(home)) {
            return self.problem(ScanProblem::LeavesHome { path: path.to_owned() });
        }
        let Some(meta) = pinned(&real).filter(Metadata::is_file) else {
            return;
        };
        let dir = real.parent().and_then(|dir| std::fs::symlink_metadata(dir).ok());
        let own = dir.is_some_and(|dir| is_of_its_dir(&dir, &meta));
        if !own || home.is_none() && has_foreign_link(path) {
            return self.problem(ScanProblem::Foreign { path: path.to_owned() });
        }
        self.rests(&real, &meta);
        // As with what the config names: without a generation, only a file with other names is worth the risk.
        let generation = generation_of(&real);
        if generation.is_none() && meta.nlink() < 2 {
            return;
        }
        self.found += 1;
        if self.found == FOUND_MAX + 1 {
            self.problem(ScanProblem::TooMany { what: "files of the catalogue", most: FOUND_MAX });
        }
        if self.found <= FOUND_MAX {
            let key = InodeKey { generation: generation.unwrap_or(0), ..self.inode_key(&real, &meta) };
            self.add(Key::Inode(key), true);
        }
    }
}

/// The file of exactly this path, without a link anywhere in it: its owner may swap directories while we look.
pub(super) fn pinned(real: &Path) -> Option<Metadata> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file: File = OpenOptions::new().read(true).custom_flags(flags.bits()).open(real).ok()?;
    let is = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    file.metadata().ok().filter(|_| is == real)
}

/// Whether nobody but the directory's owner can have put this file there, or it is that owner's.
fn is_of_its_dir(dir: &Metadata, file: &Metadata) -> bool {
    let shared = dir.mode() & 0o022 != 0;
    let of_root = dir.uid() == 0;
    // In a shared directory of root's, a second name may be somebody's link to what is root's.
    of_root && !shared || file.uid() == dir.uid() && (!of_root || file.nlink() < 2)
}

/// Whether the path goes through a link that is not root's.
fn has_foreign_link(path: &Path) -> bool {
    let meta = path.ancestors().filter_map(|path| std::fs::symlink_metadata(path).ok());
    meta.into_iter().any(|meta| meta.is_symlink() && meta.uid() != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::credential::scan::Scan;

    fn scan(home: &Path) -> Scan {
        Catalogue::builtin().scan_with(&[home.to_owned()], Vec::new())
    }

    /// The rule that knows a file by its inode.
    fn rule_of(scan: &Scan, path: &Path) -> Option<u32> {
        let ino = std::fs::metadata(path).unwrap().ino();
        scan.inodes.iter().find(|(key, _)| key.ino == ino).map(|(_, rule)| *rule)
    }

    /// A home with two names for each file, so that it is known on any file system.
    fn home(names: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        for (number, name) in names.iter().enumerate() {
            let path = home.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            std::fs::hard_link(&path, home.join(format!("copy{number}"))).unwrap();
        }
        (dir, home)
    }

    #[test]
    fn a_file_is_known_by_its_inode_whatever_its_name() {
        let (_dir, home) =
            home(&[".aws/credentials", ".ssh/id_work", ".ssh/id_work.pub", ".ssh/known_hosts"]);
        let found = scan(&home);
        let catalogue = Catalogue::builtin();
        for (name, id) in [(".aws/credentials", "aws-access-key"), (".ssh/id_work", "ssh-private-key")] {
            let rule = rule_of(&found, &home.join(name)).unwrap();
            assert_eq!(rule % 2, 1, "{name}");
            assert_eq!(catalogue.kind(rule, b"/somewhere/else").unwrap().id, id);
            assert!(catalogue.kind(rule - 1, b"/somewhere/else").is_none());
        }
        assert_eq!(rule_of(&found, &home.join(".ssh/id_work.pub")), None, "excepted");
        assert_eq!(rule_of(&found, &home.join(".ssh/known_hosts")), None);
    }

    #[test]
    fn without_a_second_name_the_generation_decides() {
        let (_dir, home) = home(&[".netrc"]);
        std::fs::remove_file(home.join("copy0")).unwrap();
        let found = scan(&home);
        let known = generation_of(&home.join(".netrc"));
        assert_eq!(rule_of(&found, &home.join(".netrc")).is_some(), known.is_some());
        let ino = std::fs::metadata(home.join(".netrc")).unwrap().ino();
        let key = found.inodes.iter().find(|(key, _)| key.ino == ino);
        assert_eq!(key.map(|(key, _)| key.generation), known);
    }

    #[test]
    fn a_link_does_not_choose_what_the_host_watches() {
        let (_other, library) = home(&["library"]);
        let (_dir, home) = home(&["kept/hosts.yml"]);
        symlink(library.join("library"), home.join(".netrc")).unwrap();
        std::fs::create_dir(home.join(".config")).unwrap();
        symlink("../kept", home.join(".config/gh")).unwrap();
        let found = scan(&home);
        assert_eq!(rule_of(&found, &library.join("library")), None);
        assert!(found.problems.iter().any(|problem| matches!(problem, ScanProblem::LeavesHome { .. })));
        assert!(
            rule_of(&found, &home.join("kept/hosts.yml")).is_some(),
            "a link within the home is its owner's"
        );
    }

    #[test]
    fn a_file_in_a_shared_directory_has_to_be_its_owners_alone() {
        let (_dir, home) = home(&["a"]);
        let meta = |path: &str| std::fs::symlink_metadata(home.join(path)).unwrap();
        let (dir, file) = (meta("."), meta("a"));
        assert!(is_of_its_dir(&dir, &file));
        let shared = std::fs::symlink_metadata("/tmp").unwrap();
        if shared.uid() == 0 && shared.mode() & 0o002 != 0 {
            assert!(!is_of_its_dir(&shared, &file), "it has two names, or is not root's");
        }
        let proc = std::fs::symlink_metadata("/proc").unwrap();
        assert!(is_of_its_dir(&proc, &file), "only root puts files there");
    }

    #[test]
    fn only_paths_without_links_are_pinned() {
        let (_dir, home) = home(&["d/a"]);
        symlink("d", home.join("l")).unwrap();
        symlink("d/a", home.join("f")).unwrap();
        assert!(pinned(&home.join("d/a")).is_some());
        assert!(pinned(&home.join("l/a")).is_none());
        assert!(pinned(&home.join("f")).is_none_or(|meta| !meta.is_file()));
    }

    #[test]
    fn a_link_that_is_not_roots() {
        let (_dir, home) = home(&["a"]);
        symlink("a", home.join("l")).unwrap();
        assert!(!has_foreign_link(&home.join("a")));
        assert_eq!(has_foreign_link(&home.join("l")), !nix::unistd::geteuid().is_root());
    }

    #[test]
    fn sockets_are_not_opened_and_keep_their_names() {
        let (_dir, home) = home(&[]);
        std::fs::create_dir(home.join(".gnupg")).unwrap();
        let path = home.join(".gnupg/S.gpg-agent");
        let _listener = UnixListener::bind(&path).unwrap();
        let found = scan(&home);
        assert_eq!(rule_of(&found, &path), None);
        let rules = Catalogue::builtin().names();
        let key = crate::credential::watch::name_key(&[".gnupg", "S.gpg-agent"], false).unwrap();
        assert!(rules.iter().any(|(name, ..)| *name == key));
    }

    #[test]
    fn what_is_looked_at_is_bounded_and_told() {
        let mut scanner = Scanner::default();
        scanner.looked = LOOKED_MAX - 1;
        assert!(scanner.may_look());
        assert!(!scanner.may_look() && !scanner.may_look());
        let told = scanner.finish().problems;
        assert!(matches!(told.as_slice(), [ScanProblem::TooMany { .. }]));
    }

    #[test]
    fn no_more_files_than_there_is_room_for() {
        let (_dir, home) = home(&[".netrc"]);
        let catalogue = Catalogue::builtin();
        let mut scanner = Scanner::default();
        scanner.found = FOUND_MAX;
        scanner.look(&catalogue, std::slice::from_ref(&home));
        let scan = scanner.finish();
        assert_eq!(rule_of(&scan, &home.join(".netrc")), None);
        assert!(matches!(scan.problems.last(), Some(ScanProblem::TooMany { .. })));
    }
}
