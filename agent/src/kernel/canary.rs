//! The canary: each watched act, really done, in a throw-away child. A probe that is attached is not yet a probe that
//! fires (an LSM program attaches, and is silent, where `lsm=` does not name bpf); what the canary does not show is not
//! covered.

mod acts;

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use nix::sys::stat::{major, minor};
use spoor_wire::rule::{EntryKey, HASH_START, InodeKey, hash_bytes};

pub use acts::child;

use super::control::Control;

/// First argument of the agent when it is its own canary. Not for people.
pub const CANARY_ARGUMENT: &str = "__canary";
/// The rule the canary's file matches by.
pub(super) const CANARY_RULE: u32 = u32::MAX;
/// How long it may take from its end, as probes see it, until it can be waited for.
const ENDING: Duration = Duration::from_secs(1);
/// The broadcast address is no host: a TCP connection there fails before a packet is sent.
pub(super) const NOWHERE: Ipv4Addr = Ipv4Addr::BROADCAST;
/// Where what the canary has by name may lie: file systems in memory first, whose inodes are the kernel's own.
const FOLDERS: [&str; 3] = ["/dev/shm", "/run", "/tmp"];

/// What the canary is made of, kept while it is out.
pub(super) struct Canary {
    pub child: Child,
    pub tgid: u32,
    pub open_port: u16,
    pub closed_port: u16,
    keys: Vec<InodeKey>,
    socket: Option<Socket>,
    moved: Option<Moved>,
    // Held so that the file, the listener and the port that refuses live until the canary is back.
    _file: File,
    _listener: TcpListener,
    _refuser: std::os::fd::OwnedFd,
}

/// The kernel's number of a device, of the one `stat` tells.
pub(super) fn kernel_dev(dev: u64) -> u32 {
    u32::try_from(major(dev) << 20 | minor(dev)).unwrap_or(u32::MAX)
}

impl Canary {
    /// Sends one out.
    pub(super) fn fly(control: &mut Control) -> io::Result<Self> {
        let mut file = File::from(memfd_create(c"spoor-canary", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(b"canary")?;
        let socket = Socket::make();
        let moved = Moved::make();
        let mut keys = vec![key(&file.metadata()?)];
        keys.extend(socket.as_ref().map(|socket| socket.key));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let open_port = listener.local_addr()?.port();
        let (refuser, closed_port) = refusing_port()?;
        for key in &keys {
            control.watch_file(*key, CANARY_RULE).map_err(io::Error::other)?;
        }
        if let Some(moved) = &moved {
            control.watch_entry(moved.entry, CANARY_RULE).map_err(io::Error::other)?;
        }
        control.arm(true).map_err(io::Error::other)?;
        let spawned = Command::new("/proc/self/exe")
            .arg(CANARY_ARGUMENT)
            .arg(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
            .args([open_port.to_string(), closed_port.to_string()])
            .arg(socket.as_ref().map_or(Path::new(""), |socket| socket.path.as_path()))
            .args(moved.as_ref().map_or([Path::new(""); 2], |moved| [&moved.from, &moved.to]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        control.arm(false).map_err(io::Error::other)?;
        let child = spawned?;
        let tgid = child.id();
        Ok(Canary {
            child,
            tgid,
            open_port,
            closed_port,
            keys,
            socket,
            moved,
            _file: file,
            _listener: listener,
            _refuser: refuser,
        })
    }

    /// How it ended. Its end is seen by a probe a moment before it can be waited for.
    fn end(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + ENDING;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                found => return found.ok().flatten(),
            }
        }
    }

    /// Takes it back. Gives what it could not do, where there was something.
    pub(super) fn land(mut self, control: &mut Control) -> Option<String> {
        for key in &self.keys {
            control.forget_file(*key);
        }
        drop(self.socket.take());
        let ended = self.end();
        if let Some(moved) = self.moved.take() {
            control.forget_entry(moved.entry);
        }
        // It has ended, or it hangs and must.
        drop(self.child.kill());
        let output = self.child.wait_with_output().ok()?;
        match ended {
            Some(status) if status.success() => None,
            Some(_) => {
                let said = String::from_utf8_lossy(&output.stderr);
                Some(said.trim().trim_start_matches("spoor: ").to_owned())
            }
            None => Some("it did not end in time".to_owned()),
        }
    }
}

fn key(found: &std::fs::Metadata) -> InodeKey {
    InodeKey { ino: found.ino(), dev: kernel_dev(found.dev()), generation: 0 }
}

/// A listening unix socket that goes when this does.
struct Socket {
    path: PathBuf,
    key: InodeKey,
    _listener: UnixListener,
}

impl Socket {
    /// `None` where no folder takes one: then connections to such sockets remain unproven, which is said.
    fn make() -> Option<Self> {
        FOLDERS.iter().find_map(|folder| {
            let path = Path::new(folder).join(format!("spoor-canary-{}.sock", std::process::id()));
            // Left by an agent of this number that was killed.
            drop(std::fs::remove_file(&path));
            let listener = UnixListener::bind(&path).ok()?;
            let key = key(&std::fs::metadata(&path).ok()?);
            Some(Socket { path, key, _listener: listener })
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.path));
    }
}

/// A file that is to get a watched name. It goes when this does.
struct Moved {
    from: PathBuf,
    to: PathBuf,
    entry: EntryKey,
}

impl Moved {
    /// `None` where no folder takes one: then it remains unproven that renaming shows.
    fn make() -> Option<Self> {
        FOLDERS.iter().find_map(|folder| {
            let name = format!("spoor-canary-{}.token", std::process::id());
            let (from, to) = (Path::new(folder).join(format!("{name}.new")), Path::new(folder).join(&name));
            let found = std::fs::metadata(folder).ok()?;
            let entry = EntryKey {
                dir_ino: found.ino(),
                name: hash_bytes(HASH_START, name.as_bytes()),
                dev: kernel_dev(found.dev()),
                pad: 0,
            };
            let moved = Moved { from, to, entry };
            // Left by an agent of this number that was killed.
            moved.remove();
            // Never through a link that somebody put there: the folder is everybody's.
            File::create_new(&moved.from).ok()?;
            Some(moved)
        })
    }

    fn remove(&self) {
        drop(std::fs::remove_file(&self.from));
        drop(std::fs::remove_file(&self.to));
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A port that refuses: bound, so that nobody else gets it, and not listening.
fn refusing_port() -> io::Result<(std::os::fd::OwnedFd, u16)> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let port = getsockname::<SockaddrIn>(fd.as_raw_fd())?.port();
    Ok((fd, port))
}
