//! One agent takes over from another on the same store, with no moment between: an upgrade misses nothing.
//!
//! The newer one attaches and proves its own probes while the older one works on. Then the older one names a moment, records
//! what happened until then, closes the store and goes; the newer one opens it, and records what happened after. They talk
//! over the status socket, a line of JSON each:
//!
//! | who | says | and from then on |
//! |---|---|---|
//! | newer | `relief` | |
//! | older | `{"v":1,"pid":812,"watchdog_us":60000000}` | what the newer one and its canary do is in no record |
//! | newer | `now` | |
//! | older | `{"v":1,"until_ns":…}` | its store is closed; ns of `CLOCK_BOOTTIME` |
//!
//! `watchdog_us`: how often somebody wants to hear that the service lives, where that is so; a manager tells only whom it
//! started itself. `{"v":1,"refused":"…"}` in place of the first word says why not.
//!
//! A newer one that goes in the middle has given up, and the older one works on. An older one that goes without naming a
//! moment has crashed: the newer one records from when it asked.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc as channel, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Failure, spared};
use crate::config::Config;
use crate::event::{Event, ProcessKey};
use crate::kernel::{Control, Feed, boot_ns, process_key};
use crate::pipeline::worker::{Spare, catch_up};
use crate::status::socket::{self, Guest};
use crate::store::{Retention, Store, StoreError};

/// Version of this talk.
const VERSION: u64 = 1;
/// The newer one's second word.
const NOW: &str = "now";
/// How long the newer one waits until the older one has gone.
const GOING: Duration = Duration::from_secs(30);
/// Pause between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(2);
/// Longest word.
const WORD_MAX: u64 = 4096;

/// What the older one says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Word {
    v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    watchdog_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ns: Option<u64>,
}

impl Word {
    fn line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Where the store is: nobody has it, or somebody does who is to be relieved.
pub(super) enum Post {
    /// It is open.
    Free(Box<Store>),
    /// It will be.
    Taken(Predecessor),
}

impl Post {
    /// How often a manager wants to hear that the service lives. It tells only whom it started itself.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().or(match self {
            Post::Taken(before) => before.watchdog,
            Post::Free(_) => None,
        })
    }

    /// The store, and up to when another agent recorded into it: ns of `CLOCK_BOOTTIME`. Has that go. What came from the
    /// probes until then goes to `early`, as far as it explains what comes after.
    pub(super) fn open(
        self,
        config: &Config,
        feed: &Feed,
        early: &mut Vec<Event>,
    ) -> Result<(Store, u64), Failure> {
        match self {
            Post::Free(store) => Ok((*store, 0)),
            Post::Taken(before) => {
                early.extend(catch_up(feed, boot_ns()));
                before.relieve(&config.store.path, super::retention(config))
            }
        }
    }
}

/// The agent that works on the store, and knows that it is to be relieved.
pub(super) struct Predecessor {
    stream: BufReader<StdStream>,
    pid: u32,
    watchdog: Option<Duration>,
}

impl Predecessor {
    /// Tells the agent whose state directory that is. `None`: nobody runs there.
    pub(super) fn find(store: &Path) -> Result<Option<Self>, Failure> {
        let stream = match socket::dial(store) {
            Ok(stream) => stream,
            Err(error) if socket::nobody(&error) => return Ok(None),
            Err(error) => return Err(Failure::system("ask the running agent for its place")(error)),
        };
        let mut found = Predecessor { stream: BufReader::new(stream), pid: 0, watchdog: None };
        let word = found.talk(socket::RELIEF).map_err(Failure::system(
            "take over from the running agent, which does not let itself be relieved (restart it instead)",
        ))?;
        found.pid = word.pid.unwrap_or(0);
        found.watchdog = word.watchdog_us.map(Duration::from_micros);
        tracing::info!("taking over from the agent that runs as process {}", found.pid);
        Ok(Some(found))
    }

    /// Leaves it out of what is seen here: until it goes it looks at files and processes, as this one does.
    pub(super) fn be_spared(&self, control: &mut Control) {
        let spared =
            process_key(self.pid).and_then(|process| control.spare(process, true).map_err(io::Error::other));
        if let Err(error) = spared {
            tracing::warn!("process {} is not left out, and may be in the records: {error}", self.pid);
        }
    }

    fn talk(&mut self, word: &str) -> io::Result<Word> {
        self.stream.get_mut().write_all(format!("{word}\n").as_bytes())?;
        let mut line = String::new();
        io::Read::take(&mut self.stream, WORD_MAX).read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let word: Word = serde_json::from_str(&line)?;
        match word {
            Word { v: VERSION, refused: None, .. } => Ok(word),
            Word { v: VERSION, refused: Some(why), .. } => Err(io::Error::other(why)),
            _ => Err(io::Error::other("it says something else")),
        }
    }

    /// Has it name a moment and go, and opens its store. Gives the moment, too.
    fn relieve(mut self, dir: &Path, retention: Retention) -> Result<(Store, u64), Failure> {
        let asked_ns = boot_ns();
        let patience = self.stream.get_ref().set_read_timeout(Some(GOING));
        patience.map_err(Failure::system("wait for the running agent"))?;
        let until_ns = match self.talk(NOW) {
            Ok(Word { until_ns: Some(until_ns), .. }) => until_ns,
            Ok(_) => asked_ns,
            Err(error) => {
                tracing::warn!("the agent before has not said up to when it recorded: {error}");
                asked_ns
            }
        };
        let deadline = Instant::now() + GOING;
        loop {
            match Store::open(dir, retention) {
                Ok(store) => return Ok((store, until_ns)),
                Err(StoreError::Locked { .. }) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Who takes over, at the moment of it.
pub(super) struct Successor {
    stream: AsyncReader<UnixStream>,
    pid: u32,
}

impl Successor {
    async fn say(&mut self, word: &Word) -> io::Result<()> {
        self.stream.get_mut().write_all(&word.line()?).await
    }

    /// The store is closed: the word is theirs.
    pub(super) async fn go(mut self, until_ns: u64) {
        // First, so that our end is not the service's.
        super::daemon::notify(&[NotifyState::MainPid(self.pid)]);
        let word = Word { v: VERSION, until_ns: Some(until_ns), ..Word::default() };
        match self.say(&word).await {
            Ok(()) => tracing::info!("process {} has taken over", self.pid),
            Err(error) => tracing::error!("process {}, which was to take over, is gone: {error}", self.pid),
        }
    }
}

/// Waits for somebody to take over.
pub(super) struct Relief {
    /// Where the status socket puts who asks.
    pub(super) asked: channel::Sender<Guest>,
    come: channel::Receiver<Successor>,
    _attending: JoinSet<()>,
}

impl Relief {
    /// Attends from now on. `spares` go to the pipeline; who takes over is told of the watchdog.
    pub(super) fn attend(spares: mpsc::Sender<Spare>, watchdog: Option<Duration>) -> Self {
        let (asked, mut asking) = channel::channel(1);
        let (comes, come) = channel::channel(1);
        let mut attending = JoinSet::new();
        attending.spawn(async move {
            let mut spared = JoinSet::new();
            while let Some(guest) = asking.recv().await {
                let stream = match guest {
                    Guest::Relief(stream) => stream,
                    Guest::Spare(stream) => {
                        spared::attend(&mut spared, stream, &spares);
                        continue;
                    }
                };
                match welcome(stream, &spares, watchdog).await {
                    Ok(successor) => drop(comes.send(successor).await),
                    Err(error) => tracing::warn!("an agent wanted to take over, and has given up: {error}"),
                }
            }
        });
        Relief { asked, come, _attending: attending }
    }

    /// Waits until somebody is ready.
    pub(super) async fn come(&mut self) -> Successor {
        match self.come.recv().await {
            Some(successor) => successor,
            // Nobody attends any more: nobody comes.
            None => std::future::pending().await,
        }
    }
}

async fn welcome(
    stream: UnixStream,
    spares: &mpsc::Sender<Spare>,
    watchdog: Option<Duration>,
) -> io::Result<Successor> {
    let process = peer(&stream)?;
    let pid = process.tgid;
    let mut successor = Successor { stream: AsyncReader::new(stream), pid };
    let word = Word { v: VERSION, ..Word::default() };
    if let Some(why) = stranger(pid)? {
        successor.say(&Word { refused: Some(why.to_owned()), ..word }).await?;
        return Err(io::Error::other(why));
    }
    spare(spares, process, false).await?;
    let watchdog_us = watchdog.and_then(|time| u64::try_from(time.as_micros()).ok());
    let word = Word { pid: Some(std::process::id()), watchdog_us, ..word };
    match hear(&mut successor, &word).await {
        Ok(()) => Ok(successor),
        Err(error) => {
            spare(spares, process, true).await?;
            Err(error)
        }
    }
}

/// Who is at the other end.
pub(super) fn peer(stream: &UnixStream) -> io::Result<ProcessKey> {
    let pid = stream.peer_cred()?.pid().and_then(|pid| u32::try_from(pid).ok());
    process_key(pid.ok_or_else(|| io::Error::other("it has no number here"))?)
}

/// Why somebody may not take over: what a manager runs would be a process of somebody's session afterwards, and end with it.
fn stranger(pid: u32) -> io::Result<Option<&'static str>> {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return Ok(None);
    }
    let group = |process: &str| std::fs::read(format!("/proc/{process}/cgroup"));
    let same = group(&pid.to_string())? == group("self")?;
    Ok((!same).then_some(
        "systemd runs it, and who takes over has to be part of the service: `systemctl reload spoor`",
    ))
}

async fn hear(successor: &mut Successor, word: &Word) -> io::Result<()> {
    successor.say(word).await?;
    let mut line = String::new();
    let limited = &mut tokio::io::AsyncReadExt::take(&mut successor.stream, WORD_MAX);
    timeout(socket::LOADING, limited.read_line(&mut line)).await??;
    if line.trim_end() == NOW { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Has the pipeline leave a process and its children out of what is recorded, or no longer.
pub(super) async fn spare(spares: &mpsc::Sender<Spare>, process: ProcessKey, again: bool) -> io::Result<()> {
    let (done, marked) = oneshot::channel();
    spares.send(Spare { process, again, done }).map_err(|_| io::Error::other("the pipeline has ended"))?;
    marked.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Says yes to the pipeline's part, and counts.
    fn pipeline() -> (mpsc::Sender<Spare>, Arc<[AtomicUsize; 2]>) {
        let (spare, spares) = mpsc::channel::<Spare>();
        let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
        let counted = Arc::clone(&counts);
        std::thread::spawn(move || {
            for Spare { process, again, done } in spares {
                assert_eq!(process.tgid, std::process::id());
                counted[usize::from(again)].fetch_add(1, Ordering::SeqCst);
                let _ = done.send(());
            }
        });
        (spare, counts)
    }

    /// What the older one says first, then a word of the newer one's, which it stays for or not.
    async fn newer(relief: &Relief, word: &str) -> (String, StdStream) {
        let (newer, older) = StdStream::pair().unwrap();
        older.set_nonblocking(true).unwrap();
        relief.asked.send(Guest::Relief(UnixStream::from_std(older).unwrap())).await.unwrap();
        let word = word.to_owned();
        let talk = move || {
            let line = line(&newer);
            (&newer).write_all(word.as_bytes()).unwrap();
            (line, newer)
        };
        tokio::task::spawn_blocking(talk).await.unwrap()
    }

    fn line(stream: &StdStream) -> String {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_older_one_at_work_and_the_next_takes_over() {
        let (spare, counts) = pipeline();
        let mut relief = Relief::attend(spare, Some(Duration::from_mins(1)));
        for word in ["", "later\n", &"a".repeat(10_000)] {
            let (said, _gone) = newer(&relief, word).await;
            let said: Word = serde_json::from_str(&said).unwrap();
            assert_eq!((said.v, said.pid, said.until_ns), (VERSION, Some(std::process::id()), None));
            assert_eq!(said.watchdog_us, Some(60_000_000));
        }
        let (_, waiting) = newer(&relief, "now\n").await;
        let successor = timeout(socket::LOADING, relief.come()).await.unwrap();
        assert_eq!(counts.each_ref().map(|count| count.load(Ordering::SeqCst)), [4, 3]);
        successor.go(812).await;
        assert_eq!(line(&waiting), "{\"v\":1,\"until_ns\":812}\n");
    }

    #[test]
    fn where_nobody_runs_nobody_is_relieved() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Predecessor::find(dir.path()).unwrap().is_none());
    }
}
