//! Names of secrets in the environment that a process was started with. Values pass through one buffer of our own, which is
//! wiped before anything else is done; no value leaves this file.
//!
//! The pages that are read are the process's, and it may have put something there that answers late or never (a FUSE file,
//! `userfaultfd`). So a thread of its own reads, for which nobody waits long.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use procfs::process::Process;
use zeroize::{Zeroize as _, Zeroizing};

use super::Credential;
use super::catalogue::Catalogue;
use crate::event::ProcessKey;

/// Most bytes of an environment that are looked at: as much as one text in it may have.
const BYTES_MAX: usize = 128 << 10;
/// Most secrets of one process.
const SECRETS_MAX: usize = 16;
/// How long a reader is waited for. Most take microseconds; on a host under heavy load a thread may have to wait for its turn.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most readers that hang at a time. After that no environment is read until one comes back.
const HANGING_MAX: usize = 4;

/// What a process was handed in its environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handed {
    /// What the variables hold, in their order.
    pub credentials: Vec<Arc<Credential>>,
    /// There were more bytes than are looked at, or more secrets than are told.
    pub cut: bool,
}

/// Whose environment, and the name of the program's file it was started with.
type Question = (ProcessKey, Vec<u8>);

/// Reads environments.
#[derive(Debug)]
pub(super) struct Environments {
    catalogue: Arc<Catalogue>,
    reader: Option<Reader>,
    hanging: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Reader {
    asked: Sender<Question>,
    answers: Receiver<Option<Handed>>,
}

impl Environments {
    pub(super) fn new(catalogue: Arc<Catalogue>) -> Self {
        Environments { catalogue, reader: None, hanging: Arc::new(AtomicUsize::new(0)) }
    }

    /// What a process was handed with a program; [`None`] where that could not be read: it is gone, or does not let itself be
    /// read. Nothing where it runs another program by now: that one's start is told, too.
    pub(super) fn of(&mut self, by: ProcessKey, program: &[u8]) -> Option<Handed> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.start()?,
        };
        reader.asked.send((by, leaf(program).to_vec())).ok()?;
        match reader.answers.recv_timeout(PATIENCE) {
            Ok(answer) => {
                self.reader = Some(reader);
                answer
            }
            Err(_) => {
                tracing::warn!("the environment of process {} does not let itself be read", by.tgid);
                None
            }
        }
    }

    /// A thread that reads, until its asker goes away.
    fn start(&self) -> Option<Reader> {
        if self.hanging.load(Ordering::Relaxed) >= HANGING_MAX {
            return None;
        }
        let ((asked, questions), (tell, answers)) = (channel(), channel());
        let (catalogue, hanging) = (Arc::clone(&self.catalogue), Arc::clone(&self.hanging));
        hanging.fetch_add(1, Ordering::Relaxed);
        let started = std::thread::Builder::new().name("spoor-environ".into()).spawn(move || {
            serve(&catalogue, &questions, &tell);
            hanging.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = started {
            self.hanging.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("no environment is read: a thread cannot be started: {error}");
            return None;
        }
        Some(Reader { asked, answers })
    }
}

fn serve(catalogue: &Catalogue, questions: &Receiver<Question>, tell: &Sender<Option<Handed>>) {
    let mut room = Zeroizing::new(vec![0; BYTES_MAX]);
    for (by, program) in questions {
        if tell.send(read(catalogue, by, &program, &mut room)).is_err() {
            return;
        }
    }
}

fn read(catalogue: &Catalogue, by: ProcessKey, program: &[u8], room: &mut [u8]) -> Option<Handed> {
    let mut file = std::fs::File::open(format!("/proc/{}/environ", by.tgid)).ok()?;
    let mut filled = 0;
    let all = loop {
        let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
        match file.read(rest) {
            Ok(0) => break Ok(()),
            Ok(more) => filled += more,
            Err(error) => break Err(error),
        }
    };
    let block = room.get_mut(..filled).unwrap_or_default();
    let handed = catalogue.environment(block);
    block.zeroize();
    all.ok()?;
    // A process that is ending shows an empty one; its number may be another's by now.
    let doubtful = filled == 0 || !handed.credentials.is_empty();
    if !doubtful {
        return Some(handed);
    }
    if !is_still(by) {
        return None;
    }
    Some(if runs(by, program) { handed } else { Handed::default() })
}

/// The last name of a path.
fn leaf(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// Whether a process runs a program of that name, as far as can be told: by its name alone, since paths and inodes differ
/// between views of one file.
fn runs(by: ProcessKey, program: &[u8]) -> bool {
    let Ok(now) = std::fs::read_link(format!("/proc/{}/exe", by.tgid)) else { return true };
    let now = now.as_os_str().as_bytes();
    let now = leaf(now.strip_suffix(b" (deleted)").unwrap_or(now));
    program.is_empty() || program == now
}

fn is_still(by: ProcessKey) -> bool {
    let number = i32::try_from(by.tgid).unwrap_or(0);
    let Ok(stat) = Process::new(number).and_then(|process| process.stat()) else { return false };
    let start_ns = stat.starttime.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1));
    !matches!(stat.state, 'Z' | 'X' | 'x') && by.same(ProcessKey { tgid: by.tgid, start_ns })
}

/// Kinds and names of the secrets in a block of variables, each ended by NUL; and whether something was left out. What is
/// not ended was cut, and is not looked at.
fn names(catalogue: &Catalogue, block: &[u8]) -> (Vec<(usize, Vec<u8>)>, bool) {
    let mut found: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut cut = block.len() >= BYTES_MAX && block.last() != Some(&0);
    let mut rest = block;
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        let (entry, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = entry.split_at(equals);
        let Some(kind) = catalogue.variable(name, value.get(1..).unwrap_or_default()) else { continue };
        if found.iter().any(|(_, known)| known == name) {
            continue;
        }
        if found.len() == SECRETS_MAX {
            cut = true;
            break;
        }
        found.push((kind, name.to_vec()));
    }
    (found, cut)
}

impl Catalogue {
    /// What a block of variables holds, as `/proc/PID/environ` shows it.
    #[must_use]
    pub fn environment(&self, block: &[u8]) -> Handed {
        let (found, cut) = names(self, block);
        let credentials = found.iter().filter_map(|(kind, name)| self.handed(*kind, name)).collect();
        Handed { credentials, cut }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn ids(block: &[u8]) -> Vec<String> {
        Catalogue::builtin()
            .environment(block)
            .credentials
            .iter()
            .map(|credential| credential.id.clone())
            .collect()
    }

    #[test]
    fn names_leave_and_values_do_not() {
        let block = b"PATH=/bin\0VAULT_TOKEN=hvs.CANARY\0A_PASSWORD=CANARY=x\0VAULT_TOKEN=again\0";
        assert_eq!(ids(block), ["vault-token:env:VAULT_TOKEN", "environment-secret:env:A_PASSWORD"]);
        for credential in Catalogue::builtin().environment(block).credentials {
            assert!(!format!("{credential:?}").contains("CANARY"), "{credential:?}");
            assert!(credential.path.is_empty() && credential.fingerprints.is_empty());
        }
    }

    #[test]
    fn whatever_is_in_a_block_is_no_failure() {
        assert_eq!(ids(b""), [""; 0]);
        assert_eq!(ids(b"\0\0=\0=x\0VAULT_TOKEN\0VAULT_TOKEN=\0"), [""; 0]);
        assert_eq!(ids(b"PGPASSWORD=not ended"), [""; 0]);
        assert_eq!(ids(b"\xff\xfe_TOKEN=x\0"), ["environment-secret:env:\\xff\\xfe_TOKEN"]);
        let long = format!("{}_TOKEN=x\0", "A".repeat(100_000));
        assert!(ids(long.as_bytes())[0].len() < 200);
    }

    #[test]
    fn there_is_a_most_of_everything() {
        let catalogue = Catalogue::builtin();
        let many: String = (0..40).map(|index| format!("V{index}_TOKEN=x\0")).collect();
        let (found, cut) = names(&catalogue, many.as_bytes());
        assert_eq!((found.len(), cut), (SECRETS_MAX, true));
        let mut full = b"A_TOKEN=x\0B=".to_vec();
        full.resize(BYTES_MAX, b'y');
        let (found, cut) = names(&catalogue, &full);
        assert_eq!((found.len(), cut), (1, true));
    }

    fn sleeper(variable: &str, value: &str) -> (Child, ProcessKey) {
        let mut command = Command::new("sleep");
        command.arg("1000").env_clear().env("PATH", "/usr/bin:/bin").env(variable, value);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let stat = Process::new(i32::try_from(child.id()).unwrap()).unwrap().stat().unwrap();
        let tick = 1_000_000_000 / procfs::ticks_per_second();
        let key = ProcessKey { tgid: child.id(), start_ns: stat.starttime * tick };
        (child, key)
    }

    #[test]
    fn a_process_is_read_and_another_of_its_number_is_not() {
        let (mut child, key) = sleeper("GITHUB_TOKEN", "ghp_CANARY");
        let mut environments = Environments::new(Arc::new(Catalogue::builtin()));
        let id = |handed: Option<Handed>| handed.unwrap().credentials.first().map(|first| first.id.clone());
        // `spawn` comes back when the new program runs.
        assert_eq!(id(environments.of(key, b"/usr/bin/sleep")), Some("gh-hosts:env:GITHUB_TOKEN".to_owned()));
        let other = ProcessKey { start_ns: key.start_ns + 5_000_000_000, ..key };
        assert_eq!(environments.of(other, b""), None);
        let before = environments.of(key, b"/usr/bin/make");
        assert_eq!(before, Some(Handed::default()), "it runs another program by now");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(environments.of(key, b""), None, "it is gone");
    }

    #[test]
    fn where_too_many_hang_nothing_is_read() {
        let (mut child, key) = sleeper("GITHUB_TOKEN", "ghp_CANARY");
        let mut environments = Environments::new(Arc::new(Catalogue::builtin()));
        environments.hanging.store(HANGING_MAX, Ordering::Relaxed);
        assert_eq!(environments.of(key, b"/usr/bin/sleep"), None);
        environments.hanging.store(HANGING_MAX - 1, Ordering::Relaxed);
        assert!(environments.of(key, b"/usr/bin/sleep").is_some(), "one came back");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_without_secrets_is_read_too() {
        let (mut child, key) = sleeper("TOKENIZERS_PARALLELISM", "true");
        let mut environments = Environments::new(Arc::new(Catalogue::builtin()));
        assert_eq!(environments.of(key, b"/usr/bin/sleep"), Some(Handed::default()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_buffer_is_wiped() {
        let (mut child, key) = sleeper("PGPASSWORD", "CANARY-VALUE");
        let mut room = vec![0; BYTES_MAX];
        let handed = read(&Catalogue::builtin(), key, b"", &mut room).unwrap();
        assert_eq!(handed.credentials.len(), 1);
        assert!(room.iter().all(|byte| *byte == 0));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    #[ignore = "a measurement: cargo test -p spoor --release --lib environ -- --ignored --nocapture"]
    fn what_it_costs() {
        let (mut child, key) = sleeper("GITHUB_TOKEN", "ghp_CANARY");
        let mut environments = Environments::new(Arc::new(Catalogue::builtin()));
        let none = ProcessKey { tgid: std::process::id(), start_ns: 0 };
        for (what, key) in [("with a secret", key), ("our own", none)] {
            let start = std::time::Instant::now();
            for _ in 0..10_000 {
                std::hint::black_box(environments.of(key, b"/usr/bin/sleep"));
            }
            println!("{what}: {:?} each", start.elapsed() / 10_000);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    proptest::proptest! {
        #[test]
        fn no_value_is_told(name in "[A-Z_]{0,8}(_TOKEN|_PASSWORD)?", value in "CANARY[a-z=:/@]{0,12}",
                            noise in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let mut block = noise.clone();
            block.push(0);
            block.extend(format!("{name}={value}\0").bytes());
            block.extend(noise);
            static CATALOGUE: std::sync::LazyLock<Catalogue> = std::sync::LazyLock::new(Catalogue::builtin);
            for credential in CATALOGUE.environment(&block).credentials {
                let told = format!("{credential:?}");
                proptest::prop_assert!(!told.contains("CANARY"), "{}", told);
            }
        }
    }
}
