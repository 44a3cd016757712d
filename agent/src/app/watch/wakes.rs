//! Whatever may wake the view, in one place to wait.

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{SigSet, Signal};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{LOOK, screen};
use crate::report::watch::Key;
use crate::status::Status;
use crate::status::socket::{AskError, status};

/// Most wakes that wait: a flood of keys waits in the terminal.
const WAITING_MAX: usize = 256;
/// How long a terminal that takes nothing may hold up the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the agent said.
pub(super) type Asked = Result<Status, AskError>;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Wake {
    /// A signal, Ctrl-C, or there is no terminal any more.
    Stop,
    /// The terminal has another size.
    Resized,
    /// Ctrl-Z.
    Suspend,
    Key(Key),
    Answered(Box<Asked>),
    /// Something changed in the store's directory.
    Stored,
}

/// The place to wait.
pub(super) struct Wakes {
    wakes: Receiver<Wake>,
    /// Has a byte where something waits.
    bell: UnixStream,
    /// Changes of the store's directory; [`None`] where the system does not tell of them.
    changes: Option<Inotify>,
}

/// What rings.
#[derive(Debug)]
struct Bell {
    wakes: SyncSender<Wake>,
    bell: UnixStream,
}

impl Bell {
    /// Whether somebody still waits.
    fn ring(&mut self, wake: Wake) -> bool {
        let waits = self.wakes.send(wake).is_ok();
        // One that is full rings already.
        let _ = self.bell.write(&[0]);
        waits
    }
}

impl Wakes {
    /// Starts to wait for keys, signals, the agent of a state directory and changes in it.
    pub(super) fn start(directory: &Path) -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGWINCH] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let (bell, rings) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        rings.set_nonblocking(true)?;
        let (sender, wakes) = sync_channel(WAITING_MAX);
        let bells = || Ok::<_, io::Error>(Bell { wakes: sender.clone(), bell: rings.try_clone()? });
        let (keys, waits, asks) = (bells()?, bells()?, bells()?);
        let directory = directory.to_owned();
        let changes = changes(&directory).ok();
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        thread("spoor-signals").spawn(move || heed(&signals, waits))?;
        thread("spoor-keys").spawn(move || read_keys(keys))?;
        thread("spoor-status").spawn(move || ask(&directory, asks))?;
        Ok(Wakes { wakes, bell, changes })
    }

    /// What happened, after at most that long.
    pub(super) fn wait(&mut self, at_most: Duration) -> Vec<Wake> {
        let mut happened = Vec::new();
        // Rounded up: a wait of nothing would be a loop.
        let millis = at_most.as_micros().div_ceil(1_000);
        let timeout = PollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX));
        let stdin = io::stdin();
        let mut fds = vec![
            // Nothing is asked of it: its end is told anyway.
            PollFd::new(stdin.as_fd(), PollFlags::empty()),
            PollFd::new(self.bell.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.changes.as_ref().map(|changes| PollFd::new(changes.as_fd(), PollFlags::POLLIN)));
        // A signal in between is a reason to look, too.
        let _ = poll(&mut fds, timeout);
        let is =
            |index: usize| fds.get(index).and_then(PollFd::revents).is_some_and(|events| !events.is_empty());
        let (ended, rang, stored) = (is(0), is(1), is(2));
        if ended {
            happened.push(Wake::Stop);
        }
        if rang {
            let mut bytes = [0; WAITING_MAX];
            let _ = self.bell.read(&mut bytes);
        }
        happened.extend(self.wakes.try_iter().take(WAITING_MAX));
        if stored && let Some(changes) = &self.changes {
            // All that is there: many changes are one reason.
            while changes.read_events().is_ok_and(|events| !events.is_empty()) {}
            happened.push(Wake::Stored);
        }
        if self.changes.is_none() {
            happened.push(Wake::Stored);
        }
        happened
    }
}

/// Tells of what is written to a directory.
fn changes(directory: &PathBuf) -> nix::Result<Inotify> {
    let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let of = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    changes.add_watch(directory, of)?;
    Ok(changes)
}

/// Waits for signals. What ends the program ends it also where the terminal takes nothing any more.
fn heed(signals: &SigSet, mut bell: Bell) {
    loop {
        match signals.wait() {
            Ok(Signal::SIGWINCH) => {
                bell.ring(Wake::Resized);
            }
            Ok(_) => {
                // Not by the channel alone: it may be full of keys.
                std::thread::spawn(|| {
                    std::thread::sleep(PATIENCE);
                    screen::give_back();
                    std::process::exit(0);
                });
                bell.ring(Wake::Stop);
            }
            Err(_) => return,
        }
    }
}

/// What of a terminal's events is of interest here. There are many keys, and few that do something.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's lists of all keys there are")]
fn wake_of(event: &Event) -> Option<Wake> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key_wake(*key),
        Event::Resize(..) => Some(Wake::Resized),
        _ => None,
    }
}

/// Reads keys until the terminal is gone, which the other end of the bell sees by itself.
fn read_keys(mut bell: Bell) {
    while let Ok(event) = event::read() {
        if wake_of(&event).is_some_and(|wake| !bell.ring(wake)) {
            return;
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's list of all keys there are")]
fn key_wake(event: KeyEvent) -> Option<Wake> {
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(match event.code {
            KeyCode::Char('c') => Wake::Stop,
            KeyCode::Char('z') => Wake::Suspend,
            KeyCode::Char('l') => Wake::Resized,
            KeyCode::Char('h') => Wake::Key(Key::Erase),
            _ => return None,
        });
    }
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let key = match event.code {
        KeyCode::Char(letter) => Key::Letter(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab { back: false },
        KeyCode::BackTab => Key::Tab { back: true },
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Backspace => Key::Erase,
        _ => return None,
    };
    Some(Wake::Key(key))
}

/// Asks the agent, again and again: it may start, stop, or be in trouble.
fn ask(directory: &Path, mut bell: Bell) {
    while bell.ring(Wake::Answered(Box::new(status(directory)))) {
        std::thread::sleep(LOOK);
    }
}
