//! Digests of programs that purposes ask for, taken on a thread of its own: nobody waits, and what is not known by now is
//! said not to be known.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

use sha2::{Digest as _, Sha256};

use crate::capture::{Asked, Of, Told};
use crate::event::ProcessKey;
use crate::lineage::{Process, Slot};
use crate::purpose::{Digest, Purposes};

/// Most files, and most processes, that are remembered; then all are forgotten and learnt anew.
const REMEMBERED_MAX: usize = 4_096;
/// Most files that wait to be read. Who finds no room asks again with its next act.
const ASKS_MAX: usize = 256;
/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 30;

/// Tells the digests of programs.
pub trait TakeDigests: std::fmt::Debug + Send {
    /// These purposes will ask for some.
    fn expect(&mut self, _purposes: &Purposes) {}

    /// The digest of what a process runs, where that is known by now.
    fn of(&mut self, process: &Process) -> Option<Digest>;
}

impl TakeDigests for (Digests, Asked) {
    fn expect(&mut self, purposes: &Purposes) {
        self.0.expect(purposes);
    }

    fn of(&mut self, process: &Process) -> Option<Digest> {
        let (digests, asked) = self;
        asked.ask(Of::Digest, &question(process), || digests.of(process))
    }
}

impl TakeDigests for Told {
    fn of(&mut self, process: &Process) -> Option<Digest> {
        self.answer(Of::Digest, &question(process)).flatten()
    }
}

/// Which process, and what it runs.
fn question(process: &Process) -> (Slot, Vec<u8>) {
    (process.key.into(), process.program.exe.bytes.clone())
}

/// A file as it was: whatever is written to it changes its time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileKey {
    dev: u64,
    ino: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileKey {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() || meta.len() > FILE_MAX {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let changed = (meta.ctime(), meta.ctime_nsec());
        Ok(FileKey { dev: meta.dev(), ino: meta.ino(), size: meta.len(), changed })
    }
}

/// Something to read.
#[derive(Debug)]
enum Ask {
    /// What a process runs.
    File(FileKey, File),
    /// What lies at a path that a purpose names.
    Path(String),
}

/// `None`: it is being read, or cannot be.
type Known = HashMap<FileKey, Option<Digest>>;

/// Tells the digests of programs.
#[derive(Debug)]
pub struct Digests {
    /// `/proc`.
    proc: PathBuf,
    known: Arc<Mutex<Known>>,
    asks: SyncSender<Ask>,
    /// What processes run, by the path that was known of it: executing another changes that.
    running: HashMap<Slot, (Vec<u8>, FileKey)>,
}

impl Digests {
    /// Starts the thread that reads. It ends when this is dropped.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start() -> io::Result<Self> {
        let (asks, asked) = sync_channel(ASKS_MAX);
        let known = Arc::new(Mutex::new(Known::default()));
        let told = Arc::clone(&known);
        std::thread::Builder::new().name("spoor-digests".into()).spawn(move || work(&asked, &told))?;
        Ok(Self { proc: PathBuf::from("/proc"), known, asks, running: HashMap::default() })
    }

    /// Has the programs read that purposes name by their whole path and digest, so that they are known before they act.
    fn expect(&mut self, purposes: &Purposes) {
        for path in purposes.digested() {
            // Where there is no room, it is asked for by the first that runs it.
            let _ = self.asks.try_send(Ask::Path(path.to_owned()));
        }
    }

    /// The digest of what a process runs, where that is known by now.
    fn of(&mut self, process: &Process) -> Option<Digest> {
        let slot = Slot::from(process.key);
        let known = self
            .running
            .get(&slot)
            .filter(|(path, _)| *path == process.program.exe.bytes)
            .map(|(_, key)| *key);
        let key = match known {
            Some(key) => key,
            None => {
                let (key, file) = self.look(process).ok()?;
                if self.running.len() >= REMEMBERED_MAX {
                    self.running.clear();
                }
                self.running.insert(slot, (process.program.exe.bytes.clone(), key));
                self.ask(key, file);
                key
            }
        };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied().flatten()
    }

    /// What a process runs, if it is still that process and still runs what it ran.
    fn look(&self, process: &Process) -> io::Result<(FileKey, File)> {
        let row = self.proc.join(process.key.tgid.to_string());
        let exe = row.join("exe");
        let file = File::open(&exe)?;
        // After the file was opened: it was this process's then.
        let same = started(&row)?.same(process.key)
            && fs::read_link(&exe)?.as_os_str().as_bytes() == process.program.exe.bytes;
        if !same {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((FileKey::of(&file)?, file))
    }

    fn ask(&self, key: FileKey, file: File) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        if !known.contains_key(&key) && self.asks.try_send(Ask::File(key, file)).is_ok() {
            known.insert(key, None);
        }
    }
}

fn started(row: &Path) -> io::Result<ProcessKey> {
    let stat = procfs::process::Process::new_with_root(row.to_owned()).and_then(|process| process.stat());
    let stat = stat.map_err(io::Error::other)?;
    let tgid = u32::try_from(stat.pid).map_err(io::Error::other)?;
    Ok(ProcessKey { tgid, start_ns: stat.starttime.saturating_mul(ProcessKey::PROC_TICK_NS) })
}

fn work(asked: &Receiver<Ask>, known: &Mutex<Known>) {
    while let Ok(ask) = asked.recv() {
        let found = match ask {
            Ask::File(key, file) => Ok((key, file)),
            Ask::Path(path) => named(&path),
        };
        let told = found.and_then(|(key, file)| Ok((key, digest(&file)?, FileKey::of(&file)?)));
        match told {
            // Whoever wrote to it meanwhile made another file of it.
            Ok((key, digest, now)) if now == key => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= REMEMBERED_MAX {
                    known.clear();
                }
                known.insert(key, Some(digest));
            }
            Ok(_) => {}
            Err(error) => tracing::debug!("a program cannot be read for its digest: {error}"),
        }
    }
}

/// Opens what lies at a path, without waiting for anybody at its other end.
fn named(path: &str) -> io::Result<(FileKey, File)> {
    let nonblock = nix::fcntl::OFlag::O_NONBLOCK.bits();
    let file = File::options().read(true).custom_flags(nonblock).open(path)?;
    Ok((FileKey::of(&file)?, file))
}

fn digest(file: &File) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut file = file.take(FILE_MAX);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::event::{Comm, Text};
    use crate::lineage::{Cpid, KnownBy, Program};

    fn process(pid: u32, exe: &Path, start_ns: u64) -> Process {
        let bytes = exe.as_os_str().as_bytes().to_vec();
        Process {
            key: ProcessKey { tgid: pid, start_ns },
            cpid: Cpid::default(),
            ns_tgid: pid,
            pid_ns: 0,
            program: Arc::new(Program { exe: Text { bytes, truncated: false }, ..Program::default() }),
            ids: (0, 0, 0),
            comm: Comm::default(),
            cgroup: Arc::default(),
            cgroup_id: 0,
            parent: None,
            known_by: KnownBy::Fork,
        }
    }

    /// Asks until it is known, as a process that acts again and again does.
    fn awaited(digests: &mut Digests, process: &Process) -> Option<Digest> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let found = digests.of(process);
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_digest_of_what_runs_is_known_later_and_then_at_once() {
        let mut digests = Digests::start().unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        let row = PathBuf::from(format!("/proc/{pid}"));
        // A spawned child may not have executed yet for a moment: its program is then ours.
        let own = fs::read_link("/proc/self/exe").unwrap();
        let exe = std::iter::repeat_with(|| fs::read_link(row.join("exe")).unwrap())
            .find(|exe| *exe != own)
            .unwrap();
        let start_ns = started(&row).unwrap().start_ns;
        let expected: Digest = Sha256::digest(fs::read(&exe).unwrap()).into();
        let cat = process(pid, &exe, start_ns);
        assert_eq!(awaited(&mut digests, &cat), Some(expected));
        assert_eq!(digests.of(&cat), Some(expected));
        // Another process of that number, and another program of that process, are not it.
        let later = process(pid, &exe, start_ns + 10 * ProcessKey::PROC_TICK_NS);
        let other = process(pid, Path::new("/bin/other"), start_ns);
        assert_eq!((digests.of(&later), digests.of(&other)), (None, None));
        drop(child.stdin.take());
        child.wait().unwrap();
        // What a purpose names is read before anybody runs it.
        let mut fresh = Digests::start().unwrap();
        let text = format!(
            "[[purpose]]\nname = \"p\"\nactor = \"systemd:a\"\nowner = \"x\"\nprograms = [\"{} sha256:{}\"]",
            exe.display(),
            "00".repeat(32)
        );
        fresh.expect(&crate::purpose::read(&[("p", &text)]).unwrap().purposes);
        let known = Arc::clone(&fresh.known);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !known.lock().unwrap().values().any(|digest| *digest == Some(expected)) {
            assert!(Instant::now() < deadline, "it was not read");
            std::thread::yield_now();
        }
    }
}
