//! What both doors share: a few askers at a time, each for a while only.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Ask, Status};
use crate::telemetry::Ledger;

/// Most askers served at a time, at each door.
const ASKERS_MAX: usize = 8;
/// Pause after the system had nobody to hand over, as where descriptors have run out.
const PAUSE: Duration = Duration::from_millis(200);

/// Where askers come in.
pub(super) trait Listener {
    /// The way to one of them.
    type Stream: Send + 'static;
    /// Waits for the next.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Takes in whoever comes, until it is dropped, and with it all that are served then.
pub(super) async fn attend<L, F>(
    listener: &L,
    serve: impl Fn(L::Stream) -> F,
    patience: Duration,
    ledger: Arc<Ledger>,
) where
    L: Listener,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(ASKERS_MAX));
    let mut served = JoinSet::new();
    loop {
        let asker = match listener.next().await {
            Ok(asker) => asker,
            Err(error) => {
                tracing::debug!("nobody could be taken in who asks for the status: {error}");
                sleep(PAUSE).await;
                continue;
            }
        };
        while served.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            ledger.askers_refused.one();
            continue;
        };
        let (serving, ledger) = (serve(asker), Arc::clone(&ledger));
        served.spawn(async move {
            let outcome = timeout(patience, serving).await;
            if !matches!(outcome, Ok(Ok(()))) {
                ledger.askers_refused.one();
            }
            drop(place);
        });
    }
}

/// A path as a socket's address, however long its directory's own name is: an address has 108 bytes. Good for as long as the
/// directory, which comes with it, is open.
pub(super) fn address(path: &Path) -> io::Result<(File, UnixAddr)> {
    let missing = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = path.file_name().ok_or_else(missing)?.to_str().ok_or_else(missing)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = File::options().read(true).custom_flags(flags.bits()).open(dir)?;
    let address = UnixAddr::new(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()).as_str())?;
    Ok((dir, address))
}

pub(super) fn stream_socket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// A socket of that name, whose file has that mode from its first moment.
pub(super) fn unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let (_dir, address) = address(path)?;
    let fd = stream_socket()?;
    // Before it has a name: the file is made with this mode.
    fchmod(&fd, Mode::from_bits_truncate(mode))?;
    bind(fd.as_raw_fd(), &address)?;
    listen(&fd, Backlog::new(16)?)?;
    UnixListener::from_std(fd.into())
}

/// Asks, where waiting for the disk holds up nobody.
pub(super) async fn ask(ask: &Ask) -> io::Result<Arc<Status>> {
    let ask = Arc::clone(ask);
    tokio::task::spawn_blocking(move || ask()).await.map_err(io::Error::other)
}
