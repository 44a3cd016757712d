//! The canary: each watched act, really done, in a throw-away child. A probe that is attached is not yet a probe that
//! fires (an LSM program attaches, and is silent, where `lsm=` does not name bpf); what the canary does not show is not
//! covered.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use nix::sys::stat::{major, minor};
use spoor_wire::rule::InodeKey;

use super::control::Control;

/// First argument of the agent when it is its own canary. Not for people.
pub const CANARY_ARGUMENT: &str = "__canary";
/// The rule the canary's file matches by.
pub(super) const CANARY_RULE: u32 = u32::MAX;
/// The broadcast address is no host: a TCP connection there fails before a packet is sent.
pub(super) const NOWHERE: Ipv4Addr = Ipv4Addr::BROADCAST;
const DISCARD_PORT: u16 = 9;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// What the canary is made of, kept while it is out.
pub(super) struct Canary {
    pub child: Child,
    pub tgid: u32,
    pub open_port: u16,
    pub closed_port: u16,
    key: InodeKey,
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
        let file = File::from(memfd_create(c"spoor-canary", MFdFlags::MFD_CLOEXEC)?);
        let found = file.metadata()?;
        let key = InodeKey { ino: found.ino(), dev: kernel_dev(found.dev()), generation: 0 };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let open_port = listener.local_addr()?.port();
        let (refuser, closed_port) = refusing_port()?;
        control.watch_file(key, CANARY_RULE).map_err(io::Error::other)?;
        control.arm(true).map_err(io::Error::other)?;
        let spawned = Command::new("/proc/self/exe")
            .arg(CANARY_ARGUMENT)
            .arg(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()))
            .args([open_port.to_string(), closed_port.to_string()])
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
            key,
            _file: file,
            _listener: listener,
            _refuser: refuser,
        })
    }

    /// Takes it back. Gives what it could not do, where there was something.
    pub(super) fn land(mut self, control: &mut Control) -> Option<String> {
        control.forget_file(self.key);
        let ended = self.child.try_wait().ok().flatten();
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

/// A port that refuses: bound, so that nobody else gets it, and not listening.
fn refusing_port() -> io::Result<(std::os::fd::OwnedFd, u16)> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let port = getsockname::<SockaddrIn>(fd.as_raw_fd())?.port();
    Ok((fd, port))
}

/// What the child does: opens, connects, is refused, gets nowhere, ends.
///
/// # Errors
/// Names the act that failed: the host cannot do it (say, the loopback device is down).
pub fn child(arguments: &[String]) -> Result<(), String> {
    let [path, open_port, closed_port] = arguments else {
        return Err("three arguments are needed".into());
    };
    File::open(path).map_err(|error| format!("open {path}: {error}"))?;
    let address = |port: &str| -> Result<SocketAddr, String> {
        let port: u16 = port.parse().map_err(|error| format!("port {port}: {error}"))?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    };
    let there = address(open_port)?;
    TcpStream::connect_timeout(&there, CONNECT_TIMEOUT)
        .map_err(|error| format!("connect {there}: {error}"))?;
    match TcpStream::connect_timeout(&address(closed_port)?, CONNECT_TIMEOUT) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(format!("a connection that should be refused: {error}")),
        Ok(_) => return Err("a connection that should be refused was accepted".into()),
    }
    match TcpStream::connect((NOWHERE, DISCARD_PORT)) {
        Err(_) => Ok(()),
        Ok(_) => Err("a connection to the broadcast address was accepted".into()),
    }
}
