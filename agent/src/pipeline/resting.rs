//! Credentials at rest on their way into the inventory: a few at a time, and each only when it is another than before.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::credential::{Credential, Resting, RestingFiles};
use crate::inventory::{Found, Inventory, Place, Scanned, Unlisted};

/// Most files opened at one tick, so that events do not wait for them.
const AT_ONCE: usize = 64;

/// What a file looked like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    dev: u32,
    ino: u64,
    mode: u32,
    owner: u32,
    written: i64,
}

impl Looks {
    fn of(resting: &Resting) -> Self {
        let Resting { file, written } = resting;
        Looks { dev: file.dev, ino: file.ino, mode: file.mode, owner: file.owner, written: *written }
    }
}

/// A file that is known.
#[derive(Debug, Default)]
struct Known {
    /// As it was described; `None` where that is still to be done.
    looks: Option<Looks>,
    /// The credential in it.
    id: Option<Arc<str>>,
}

/// Files that were found, and those still to be described. As many as a scan lists, and those of an earlier life.
#[derive(Debug, Default)]
pub(super) struct Rest {
    known: HashMap<Vec<u8>, Known>,
    due: VecDeque<Resting>,
    /// Files that the last scan did not find any more. Told when all that it found is described: what is only moved, as
    /// volumes of Kubernetes do at each rotation, is known by its new place then.
    gone: Vec<Vec<u8>>,
    scanned: bool,
    listed: bool,
}

impl Rest {
    /// With the files that an earlier life knew. Of credentials that were used, none: they may lie where this host does not
    /// see them, so that they are gone only when a scan had found them.
    pub(super) fn of(inventory: &Inventory) -> Self {
        let known = inventory
            .unused_files()
            .map(|(id, path)| (path.to_vec(), Known { looks: None, id: Some(Arc::clone(id)) }));
        Rest { known: known.collect(), ..Rest::default() }
    }

    /// Whether all that the first scan found has been described: before that, a whole set is none.
    pub(super) fn listed(&self) -> bool {
        self.listed
    }

    /// A scan found these files. What it does not find any more, and is not there, is gone.
    pub(super) fn scanned(&mut self, found: &RestingFiles) -> Scanned {
        self.scanned = true;
        let there: HashSet<&[u8]> = found.files().map(|file| file.file.path.bytes.as_slice()).collect();
        let is_gone = |path: &[u8]| {
            // Whether it is a bound of the scan that leaves it out, or it lies where this host does not see it.
            !there.contains(path)
                && std::fs::symlink_metadata(Path::new(OsStr::from_bytes(path)))
                    .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        };
        self.gone = self.known.keys().filter(|path| is_gone(path)).cloned().collect();
        self.gone.sort_unstable();
        let waits: HashSet<Vec<u8>> = self.due.iter().map(|file| file.file.path.bytes.clone()).collect();
        for file in found.files() {
            let path = &file.file.path.bytes;
            let known = self.known.get(path).and_then(|known| known.looks);
            if known != Some(Looks::of(file)) && !waits.contains(path) {
                self.due.push_back(file.clone());
            }
        }
        Scanned::Left(Unlisted { files: found.files_unlisted, directories: found.dirs_unlisted })
    }

    /// Describes some of what is due.
    pub(super) fn work(
        &mut self,
        mut describe: impl FnMut(&Resting) -> Option<Arc<Credential>>,
        out: &mut Vec<Scanned>,
    ) {
        for _ in 0..AT_ONCE {
            let Some(file) = self.due.pop_front() else { break };
            let path = file.file.path.bytes.clone();
            let credential = describe(&file);
            let id = credential.as_ref().map(|credential| Arc::from(credential.id.as_str()));
            let known = Known { looks: Some(Looks::of(&file)), id: id.clone() };
            let before = self.known.insert(path.clone(), known).and_then(|known| known.id);
            // The file holds another credential now: what it held lies here no more.
            if let Some(before) = before.filter(|before| Some(before) != id.as_ref()) {
                out.push(Scanned::Gone { id: before, path: path.clone() });
            }
            let Some(credential) = credential else { continue };
            let Looks { owner, mode, written, .. } = Looks::of(&file);
            let place = Place { owner, mode, written: Some(written) };
            out.push(Scanned::Found(Found { credential, path, place }));
        }
        if !self.due.is_empty() {
            return;
        }
        self.listed |= self.scanned;
        for path in self.gone.drain(..) {
            if let Some(Known { id: Some(id), .. }) = self.known.remove(&path) {
                out.push(Scanned::Gone { id, path });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Matched, OpenedFile, Text};
    use crate::inventory::{Limits, Told, What};

    fn resting(path: &Path, written: i64) -> Resting {
        let file = OpenedFile {
            path: Text { bytes: path.as_os_str().as_bytes().to_vec(), truncated: false },
            dev: 1,
            ino: 2,
            generation: 0,
            rule: 3,
            matched: Matched::Name,
            flags: 0,
            mode: 0o100_600,
            owner: 0,
            links: 1,
            backing: false,
        };
        Resting { file, written }
    }

    /// What a file holds is what its modification time says.
    fn describe(file: &Resting) -> Option<Arc<Credential>> {
        let id = if file.written < 100 { "old" } else { "new" };
        let id = id.to_owned();
        (file.written != 0).then(|| Arc::new(Credential { id, ..Credential::default() }))
    }

    /// Has some described, and the inventory told.
    fn work(
        rest: &mut Rest,
        describe: impl FnMut(&Resting) -> Option<Arc<Credential>>,
        (inventory, time_ns): (&mut Inventory, u64),
        told: &mut Vec<Told>,
    ) {
        let mut out = Vec::new();
        rest.work(describe, &mut out);
        out.iter().for_each(|scanned| inventory.scanned(scanned, time_ns, told));
    }

    /// Scans once; tells how many files were opened, and which credentials are known to lie here then.
    fn scan(rest: &mut Rest, inventory: &mut Inventory, files: Vec<Resting>) -> (usize, Vec<String>) {
        let mut opened = 0;
        rest.scanned(&RestingFiles::of(files));
        let count = |file: &Resting| {
            opened += 1;
            describe(file)
        };
        work(rest, count, (inventory, 1), &mut Vec::new());
        let known = inventory.unused_files().map(|(id, _)| id.to_string()).collect();
        (opened, known)
    }

    #[test]
    fn a_file_is_opened_when_it_is_another_than_before_and_forgotten_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (here, hidden) = (dir.path().join("here"), dir.path().join("hidden"));
        std::fs::write(&here, "x").unwrap();
        let mut inventory = Inventory::new(Limits::default(), 0, 0);
        let mut rest = Rest::of(&inventory);
        let mut scan = |files: Vec<Resting>| scan(&mut rest, &mut inventory, files);
        assert_eq!(scan(vec![resting(&here, 5)]), (1, vec!["old".to_owned()]));
        assert_eq!(scan(vec![resting(&here, 5)]), (0, vec!["old".to_owned()]));
        assert_eq!(scan(vec![resting(&here, 500)]), (1, vec!["new".to_owned()]));
        assert_eq!(scan(vec![resting(&here, 0)]), (1, vec![]), "excepted, or none after all");
        assert_eq!(scan(vec![resting(&here, 5)]), (1, vec!["old".to_owned()]));
        assert_eq!(scan(vec![]), (0, vec!["old".to_owned()]), "a bound left it out: it is still there");
        std::fs::remove_file(&here).unwrap();
        assert_eq!(scan(vec![]), (0, vec![]));
        assert_eq!(scan(vec![resting(&hidden, 0)]), (1, vec![]));
    }

    /// A volume of Kubernetes swaps its directory: the token is another, and its file lies elsewhere.
    #[test]
    fn what_is_moved_is_not_new() {
        let mut inventory = Inventory::new(Limits { first_ns: 0, ..Limits::default() }, 0, 0);
        inventory.tick(0, &mut Vec::new());
        let mut rest = Rest::of(&inventory);
        let mut told = Vec::new();
        for path in ["/nowhere/..1/token", "/nowhere/..2/token"] {
            rest.scanned(&RestingFiles::of(vec![resting(Path::new(path), 5)]));
            work(&mut rest, describe, (&mut inventory, 1), &mut told);
        }
        let why: Vec<&str> = told.iter().flat_map(|told| &told.why).map(|why| why.name()).collect();
        assert_eq!(why, ["new", "gone"]);
        assert_eq!(inventory.unused_files().count(), 1);
    }

    #[test]
    fn a_few_at_a_time_and_none_twice() {
        let files: Vec<Resting> =
            (0..100).map(|number| resting(Path::new(&format!("/nowhere/{number}")), 5)).collect();
        let mut inventory = Inventory::new(Limits::default(), 0, 0);
        let mut rest = Rest::of(&inventory);
        assert_eq!(scan(&mut rest, &mut inventory, files.clone()).0, AT_ONCE);
        assert_eq!(scan(&mut rest, &mut inventory, files.clone()).0, 100 - AT_ONCE);
        assert_eq!(scan(&mut rest, &mut inventory, files).0, 0);
    }

    #[test]
    fn what_an_earlier_life_knew_is_looked_for() {
        let mut inventory = Inventory::new(Limits::default(), 0, 0);
        let file = resting(Path::new("/nowhere/at/all"), 5);
        let place = Place { owner: 0, mode: 0o600, written: None };
        let found = Found { credential: describe(&file).unwrap(), path: file.file.path.bytes, place };
        inventory.found(&found, 1, &mut Vec::new());
        let (mut told, mut rest) = (Vec::new(), Rest::of(&inventory));
        rest.scanned(&RestingFiles::default());
        assert!(!rest.listed());
        work(&mut rest, describe, (&mut inventory, 2), &mut told);
        assert!(rest.listed());
        assert!(matches!(told.as_slice(), [Told { what: What::Credential(_), .. }]), "{told:?}");
        assert_eq!(inventory.sizes(), (0, 0));
    }
}
