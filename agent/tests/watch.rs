//! `spoor watch` as somebody at a terminal has it: the program itself, on a store that grows, keys, and what is seen.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use spoor::record::{Record, RecordType, View};
use spoor::store::{Retention, Store};
use std::os::fd::AsFd as _;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Held while a terminal is made and a program started in it.
static STARTING: Mutex<()> = Mutex::new(());
const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A terminal with the program in it.
struct Terminal {
    child: Child,
    master: File,
    /// The program's end, for what it does to the terminal.
    slave: OwnedFd,
    shown: vt100::Parser,
    raw: Vec<u8>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Terminal {
    fn start(store: &Path) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        // No program may have the other end of its own terminal, or of another test's.
        let _alone = STARTING.lock().unwrap();
        let pty = openpty(Some(&size), None).unwrap();
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = Command::new(env!("CARGO_BIN_EXE_spoor"))
            .args(["watch", "--store"])
            .arg(store)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let shown = vt100::Parser::new(ROWS, COLUMNS, 0);
        Terminal { child, master: pty.master.into(), slave: pty.slave, shown, raw: Vec::new() }
    }

    fn text(&self) -> String {
        self.shown.screen().contents()
    }

    /// Reads what the program writes until the screen is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&vt100::Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !wanted(self.shown.screen()) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} is not seen:\n{}", self.text());
            let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::try_from(left.min(Duration::from_secs(1))).unwrap()).unwrap();
            if fds[0].any().unwrap() {
                let mut bytes = [0; 4096];
                let read = self.master.read(&mut bytes).unwrap();
                self.shown.process(&bytes[..read]);
                self.raw.extend_from_slice(&bytes[..read]);
            }
        }
    }

    fn sees(&mut self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// The program ends well, and the terminal is as it was.
    fn ends(&mut self) {
        self.until("the screen as it was before", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        };
        assert_eq!(status.code(), Some(0));
        let modes = tcgetattr(&self.slave).unwrap().local_flags;
        assert!(modes.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG), "{modes:?}");
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

/// The records of a golden, numbered anew.
fn golden(name: &str, mut seq: u64) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/records").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let record = |line: &str| {
        let view = View::parse(line.as_bytes()).unwrap();
        let mut value = view.value().clone();
        value.as_object_mut().unwrap().remove("prev");
        value["seq"] = seq.into();
        seq += 1;
        let kind = match view.kind() {
            "action" => RecordType::Action,
            "chain" => RecordType::Chain,
            "gap" => RecordType::Gap,
            "finding" => RecordType::Finding,
            other => panic!("{other}"),
        };
        let chains = view.list("chains").iter().map(|chain| chain.as_str().unwrap().to_owned());
        Record {
            seq: seq - 1,
            time_ns: view.time_ns(),
            kind,
            chain: view.chain().map(str::to_owned),
            gap_chains: chains.collect(),
            body: value.to_string().into_bytes(),
        }
    };
    text.lines().map(record).collect()
}

fn store(dir: &Path) -> Store {
    Store::open(dir, Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 }).unwrap()
}

#[test]
fn a_chain_is_seen_as_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = store(dir.path());
    let records = golden("backup.jsonl", 1);
    let (first, rest) = records.split_at(4);
    store.append(first).unwrap();
    let mut terminal = Terminal::start(dir.path());
    terminal.sees("systemd:backup.service");
    terminal.sees("no agent runs here");
    terminal.sees("open");
    assert!(terminal.shown.screen().alternate_screen());
    // Into the chain, and while it is looked at, it grows to its end.
    terminal.keys("\r");
    terminal.sees("Processes");
    terminal.sees("still open");
    terminal.sees("restic 815");
    store.append(rest).unwrap();
    terminal.sees("exit code 0  run-ended");
    terminal.keys("G");
    terminal.sees("+48.21 s  bash 812        exit     code 0");
    // The process that ended, and back to a list that the filter leaves empty.
    terminal.keys("p");
    terminal.sees("Process bash 812");
    terminal.sees("03:00:00.000  01KDYABPD…  open     /home/backup/.aws/credentials");
    terminal.keys("\u{1b}");
    terminal.sees("Chain of systemd:backup.service");
    terminal.keys("\u{1b}");
    terminal.sees("[Chains 1]");
    terminal.keys("/credential=nobody\r");
    terminal.sees("nothing that the filter lets through");
    // Held back, what comes is counted; let go on, it is there.
    terminal.keys("\u{1b}");
    terminal.sees("> 03:00:48");
    terminal.keys(" ");
    terminal.sees("PAUSED, 0 records came meanwhile");
    store.append(&golden("edges.jsonl", 10)).unwrap();
    terminal.sees("PAUSED, 10 records came meanwhile");
    assert!(!terminal.text().contains("kubernetes:shop:cart"), "{}", terminal.text());
    terminal.keys(" ");
    terminal.sees("kubernetes:shop:cart");
    terminal.sees("! 2 gaps");
    terminal.keys("q");
    terminal.ends();
}

#[test]
fn what_a_record_says_moves_no_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = golden("backup.jsonl", 1);
    for record in &mut records {
        let text = String::from_utf8(record.body.clone()).unwrap();
        let hostile = r"systemd:\u001b[2J\u001b]0;owned\u0007\u202egpj\u0000.service";
        record.body = text.replace("systemd:backup.service", hostile).into_bytes();
    }
    store(dir.path()).append(&records).unwrap();
    let mut terminal = Terminal::start(dir.path());
    terminal.sees("owned");
    terminal.keys("\r");
    terminal.sees(r"systemd:\u{1b}[2J\u{1b}]0;owned");
    assert!(!terminal.raw.windows(4).any(|bytes| bytes == b"\x1b[2J" || bytes == b"\x1b]0;"));
    assert!(!terminal.text().contains('\u{202e}'));
    terminal.keys("q");
    terminal.ends();
}

#[test]
fn the_terminal_is_given_back_whatever_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path()).append(&golden("backup.jsonl", 1)).unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut terminal = Terminal::start(dir.path());
        terminal.sees("systemd:backup.service");
        assert!(!tcgetattr(&terminal.slave).unwrap().local_flags.contains(LocalFlags::ICANON));
        terminal.signal(signal);
        terminal.ends();
    }
    let mut terminal = Terminal::start(dir.path());
    terminal.sees("systemd:backup.service");
    terminal.keys("\u{3}");
    terminal.ends();
}

#[test]
fn nobody_is_left_behind_when_the_terminal_goes() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path()).append(&golden("backup.jsonl", 1)).unwrap();
    let mut terminal = Terminal::start(dir.path());
    terminal.sees("systemd:backup.service");
    // It has no controlling terminal here, so no signal tells it.
    terminal.master = File::open("/dev/null").unwrap();
    let deadline = Instant::now() + PATIENCE;
    while terminal.child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on without a terminal");
        std::thread::yield_now();
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path()).append(&golden("backup.jsonl", 1)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spoor"));
        let output = command.args(arguments).env("TERM", "xterm").stdin(Stdio::null()).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, out, error) = run(&["watch", "--store", dir.path().to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(error.contains("wants a terminal") && error.contains("`spoor chains`"), "{error}");
    let (code, _, error) = run(&["watch", "--store", "/nowhere"]);
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no store in /nowhere"), "{error}");
}
