//! The socket of the state directory. Who connects sends one line, the question, and gets one line of JSON, the answer. Only
//! root and the agent's own user may ask; the file says so (0600) from its first moment, and the kernel is asked who it is.
//!
//! There are three questions, `status`, `relief` and `spare`. Who asks the second one wants to take over, who asks the third
//! one tries probes and wants to be in no record meanwhile: the connection goes on with whoever the agent has for that.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::connect;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc::Sender;

use super::{Ask, PATIENCE, Status, door};
use crate::telemetry::Ledger;

/// Its name in the state directory.
pub const FILE: &str = "status.sock";
/// How it is.
const STATUS: &str = "status";
/// That it be relieved.
pub const RELIEF: &str = "relief";
/// How long who asks for that may take to be ready: verifiers of old kernels on a busy host take long. The unit's
/// `TimeoutStartSec` is a minute more.
pub const LOADING: Duration = Duration::from_mins(9);
/// To be left out for as long as the connection lasts.
pub const SPARE: &str = "spare";
/// Longest question, with its end.
const QUESTION_MAX: usize = 64;
/// Longest answer that is read.
const ANSWER_MAX: u64 = 4 << 20;

/// Who asks for more than an answer.
#[derive(Debug)]
pub enum Guest {
    /// For [`RELIEF`].
    Relief(UnixStream),
    /// For [`SPARE`].
    Spare(UnixStream),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("no agent runs on {}", .0.display())]
    NotRunning(PathBuf),
    /// Somebody does, and this user may not ask.
    #[error("only root may ask the agent on {}", .0.display())]
    NotPermitted(PathBuf),
    /// It takes no notice, or gave up.
    #[error("the agent on {} does not answer: {error}", path.display())]
    Silent {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// What it said is not what this version understands.
    #[error("the answer of the agent on {} is not understood: {why}; is it of another version?", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The socket, with its name for as long as this lives.
#[derive(Debug)]
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Door {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Door {
    /// Opens it in a state directory, of which the caller holds the lock: what lies there under its name is of an agent that
    /// was killed. Inside a runtime only.
    ///
    /// # Errors
    /// What the system refused.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        match std::fs::symlink_metadata(&path) {
            Ok(left) if left.file_type().is_socket() => std::fs::remove_file(&path)?,
            Ok(_) => return Err(io::Error::other(format!("{} is there and is no socket", path.display()))),
            Err(_) => {}
        }
        let listener = door::unix(&path, 0o600)?;
        Ok(Door { listener, path })
    }

    /// Answers until it is dropped. Who asks for more than that goes to `guests`.
    pub async fn serve(self, ask: Ask, guests: Sender<Guest>, ledger: Arc<Ledger>) {
        let serve = |stream| answer(stream, Arc::clone(&ask), guests.clone());
        door::attend(&self.listener, serve, PATIENCE, ledger).await;
    }
}

async fn answer(mut stream: UnixStream, ask: Ask, guests: Sender<Guest>) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut line = Vec::with_capacity(QUESTION_MAX);
    while !line.contains(&b'\n') {
        let mut part = [0; QUESTION_MAX];
        let read = stream.read(&mut part).await?;
        line.extend_from_slice(part.get(..read).unwrap_or_default());
        if read == 0 || line.len() > QUESTION_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
    }
    let question = line.strip_suffix(b"\n");
    let guest: Option<fn(UnixStream) -> Guest> = match question {
        Some(question) if question == RELIEF.as_bytes() => Some(Guest::Relief),
        Some(question) if question == SPARE.as_bytes() => Some(Guest::Spare),
        _ => None,
    };
    if let Some(guest) = guest {
        // One at a time: who comes second is hung up on.
        return guests.try_send(guest(stream)).map_err(|_| io::ErrorKind::ResourceBusy.into());
    }
    let mut text = if question == Some(STATUS.as_bytes()) {
        serde_json::to_string(&*door::ask(&ask).await?)?
    } else {
        serde_json::json!({ "error": format!("there are three questions: {STATUS}, {RELIEF}, {SPARE}") })
            .to_string()
    };
    text.push('\n');
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}

/// Whether an error of [`dial`] says that no agent runs there.
#[must_use]
pub fn nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// Asks the agent whose state directory that is.
///
/// # Errors
/// [`AskError`]
pub fn status(dir: &Path) -> Result<Status, AskError> {
    let path = || dir.to_owned();
    let refused = |error: io::Error| {
        if nobody(&error) {
            AskError::NotRunning(path())
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            AskError::NotPermitted(path())
        } else {
            AskError::Silent { path: path(), error }
        }
    };
    let silent = |error: io::Error| {
        // What a socket says whose time is up.
        let late = error.kind() == io::ErrorKind::WouldBlock;
        let error = if late { io::ErrorKind::TimedOut.into() } else { error };
        AskError::Silent { path: path(), error }
    };
    let stream = dial(dir).map_err(refused)?;
    (&stream).write_all(format!("{STATUS}\n").as_bytes()).map_err(silent)?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_line(&mut line).map_err(silent)?;
    if line.is_empty() {
        return Err(silent(io::ErrorKind::UnexpectedEof.into()));
    }
    let foreign = |why: String| AskError::Foreign { path: path(), why };
    let status: Status = serde_json::from_str(&line).map_err(|error| foreign(error.to_string()))?;
    if status.v == super::VERSION { Ok(status) } else { Err(foreign(format!("it is of form {}", status.v))) }
}

/// Connects with the agent whose state directory that is.
///
/// # Errors
/// What the system said: nobody listens, or this user may not.
pub fn dial(dir: &Path) -> io::Result<StdStream> {
    let (_dir, address) = door::address(&dir.join(FILE))?;
    let fd = door::stream_socket()?;
    connect(fd.as_raw_fd(), &address)?;
    let stream = StdStream::from(fd);
    stream.set_nonblocking(false)?;
    // The agent gives up on us after its patience; a little later we do on it.
    stream.set_read_timeout(Some(PATIENCE * 2))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
