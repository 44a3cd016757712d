//! Ways to a peer. What takes one holds a credential; its twin holds none, and was started by somebody who logged in, so
//! that nobody asks where it goes.

mod inbound;
mod names;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use anyhow::{Result, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde_json::Value;

use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use super::{Route, Verdict, nothing};
use crate::records::{at, text};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// A user, as of somebody who logged in.
const SOMEBODY: &str = "4711";

pub(super) const ROUTES: &[Route] = &[
    Route { id: "tcp-connect", prepare: listen, act: |g| reach(g, &["connect"], V4), judge: established },
    Route { id: "tcp-connect-6", prepare: listen_6, act: |g| reach(g, &["connect"], V6), judge: established },
    Route { id: "tcp-connect-nonblocking", act: |g| reach(g, &["poll-connect"], V4), ..TCP },
    Route { id: "tcp-connect-uring", act: |g| reach(g, &["uring-connect"], V4), ..TCP },
    Route { id: "tcp-connect-uring-slot", act: |g| reach(g, &["uring-connect-direct"], V4), ..TCP },
    Route { id: "tcp-connect-32", act: |g| reach(g, &["compat-connect"], V4), ..TCP },
    Route { id: "tcp-connect-socketcall", act: |g| reach(g, &["compat-socketcall"], V4), ..TCP },
    Route { id: "tcp-fastopen", act: |g| reach(g, &["fastopen"], V4), ..TCP },
    Route { id: "tcp-connect-netns", prepare: nothing, act: elsewhere, judge: established },
    Route {
        id: "tcp-connect-refused",
        prepare: refuse,
        act: |g| reach(g, &["connect"], V4),
        judge: |g, e| told(g, e, ["connect", "tcp", "refused"]),
    },
    Route { id: "tcp-connect-unroutable", prepare: nothing, act: nowhere, judge: failed },
    Route {
        id: "mptcp-connect",
        prepare: listen,
        act: |g| reach(g, &["mptcp-connect"], V4),
        judge: |g, e| told(g, e, ["connect", "mptcp", "established"]),
    },
    Route {
        id: "udp-connect",
        prepare: hear,
        act: |g| reach(g, &["udp-send-connected"], V4),
        judge: |g, e| told(g, e, ["connect", "udp", "associated"]),
    },
    Route { id: "udp-send", prepare: hear, act: twice, judge: sent },
    Route { id: "udp-send-6", prepare: hear_6, act: |g| reach(g, &["udp-send"], V6), judge: sent },
    Route { id: "udp-sendmsg", prepare: hear, act: |g| reach(g, &["udp-sendmsg"], V4), judge: sent },
    Route { id: "udp-sendmmsg", prepare: hear, act: |g| reach(g, &["udp-sendmmsg"], V4), judge: sent },
    Route { id: "udp-send-uring", prepare: hear, act: |g| reach(g, &["udp-uring-send"], V4), judge: sent },
    Route {
        id: "raw-send",
        prepare: nothing,
        act: |g| echo(g, "raw-send"),
        judge: |g, e| told(g, e, ["send", "icmp", "sent"]),
    },
    Route {
        id: "ping-send",
        prepare: nothing,
        act: |g| echo(g, "ping-send"),
        judge: |g, e| told(g, e, ["send", "icmp", "sent"]),
    },
    Route { id: "vsock-connect", prepare: nothing, act: vsock, judge: over_vsock },
    Route { id: "unix-connect", prepare: listen_unix, act: over_socket, judge: to_socket },
    Route { id: "metadata-connect", prepare: nothing, act: metadata, judge: handed_out },
    inbound::ACCEPT,
    inbound::ACCEPT_URING,
    names::ASKED,
    names::SAID,
    names::SAID_IN_PARTS,
];

const TCP: Route = Route { id: "", prepare: listen, act: |g| reach(g, &[], V4), judge: established };

/// A peer on the loopback device, kept until the end.
fn listen(ground: &Ground<'_>) -> Result<()> {
    listen_at(ground, V4)
}

fn listen_6(ground: &Ground<'_>) -> Result<()> {
    listen_at(ground, V6)
}

fn listen_at(ground: &Ground<'_>, ip: IpAddr) -> Result<()> {
    let listener = TcpListener::bind((ip, 0))?;
    ground.note("port", &listener.local_addr()?.port());
    ground.keep(listener);
    Ok(())
}

/// A peer that takes datagrams.
fn hear(ground: &Ground<'_>) -> Result<()> {
    hear_at(ground, V4)
}

fn hear_6(ground: &Ground<'_>) -> Result<()> {
    hear_at(ground, V6)
}

fn hear_at(ground: &Ground<'_>, ip: IpAddr) -> Result<()> {
    let socket = UdpSocket::bind((ip, 0))?;
    ground.note("port", &socket.local_addr()?.port());
    ground.keep(socket);
    Ok(())
}

/// A port that is somebody's, who does not listen.
fn refuse(ground: &Ground<'_>) -> Result<()> {
    let taken = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(taken.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    ground.note("port", &getsockname::<SockaddrIn>(taken.as_raw_fd())?.port());
    ground.keep(taken);
    Ok(())
}

/// Steps by somebody who holds the credential, and by somebody who holds none and logged in.
fn both(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    let secret = ground.secret();
    ground.both(&[&["read", &secret], steps].concat(), &[&["login-uid", SOMEBODY], steps].concat())
}

/// A step that takes an address.
fn reach(ground: &Ground<'_>, steps: &[&str], ip: IpAddr) -> Result<Ran> {
    let to = SocketAddr::new(ip, ground.noted("port")?.parse()?).to_string();
    both(ground, &[steps, &[&to]].concat())
}

/// The same datagram once more is not told once more.
fn twice(ground: &Ground<'_>) -> Result<Ran> {
    let to = SocketAddr::new(V4, ground.noted("port")?.parse()?).to_string();
    both(ground, &["udp-send", &to, "udp-send", &to])
}

fn elsewhere(ground: &Ground<'_>) -> Result<Ran> {
    ground.note("port", &8080);
    both(ground, &["netns-connect", "127.0.0.1:8080"])
}

/// The broadcast address is no host: it fails before a packet is sent.
fn nowhere(ground: &Ground<'_>) -> Result<Ran> {
    ground.note("port", &9);
    both(ground, &["connect", "255.255.255.255:9"])
}

fn echo(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    ground.note("port", &0);
    both(ground, &[step, "127.0.0.1"])
}

/// To nobody on this machine.
fn vsock(ground: &Ground<'_>) -> Result<Ran> {
    both(ground, &["vsock-connect", "1", "4711"])
}

/// Two sockets, of which one lies among credentials.
fn listen_unix(ground: &Ground<'_>) -> Result<()> {
    for directory in [ground.secrets(), ground.plain()] {
        ground.keep(UnixListener::bind(directory.join("socket"))?);
    }
    Ok(())
}

fn over_socket(ground: &Ground<'_>) -> Result<Ran> {
    let [real, twin] = [ground.secrets(), ground.plain()].map(|of| of.join("socket").display().to_string());
    ground.both(&["unix-connect", &real], &["unix-connect", &twin])
}

/// By a service that holds nothing; the twin goes elsewhere.
fn metadata(ground: &Ground<'_>) -> Result<Ran> {
    ground.note("port", &80);
    ground.both(&["netns-connect", "169.254.169.254:80"], &["netns-connect", "169.254.169.253:80"])
}

fn established(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    told(ground, evidence, ["connect", "tcp", "established"])
}

fn sent(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    told(ground, evidence, ["send", "udp", "sent"])
}

/// One record, with the right peer, what became of it, and linked with the credential; of the twin none.
fn told(
    ground: &Ground<'_>,
    evidence: &Evidence<'_>,
    [action, transport, outcome]: [&str; 3],
) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let port: u64 = ground.noted("port")?.parse()?;
    Evidence::one(&evidence.actions(ground, "", action), |record| {
        wanting(record, port, transport).or_else(|| {
            let told = text(record, "outcome");
            (told != outcome).then(|| format!("its outcome is told as {told:?}"))
        })
    })
}

/// What a record lacks that is about somebody who holds the credential.
fn wanting(record: &Value, port: u64, transport: &str) -> Option<String> {
    told_at(record, port, transport).or_else(|| {
        (text(record, "link.basis") != "same-process").then(|| "linked with no credential".to_owned())
    })
}

fn told_at(record: &Value, port: u64, transport: &str) -> Option<String> {
    let to = at(record, "destination");
    if at(record, "destination.port").as_u64() != Some(port) {
        return Some(format!("the peer is told as {to}"));
    }
    let told = text(record, "destination.transport");
    (told != transport).then(|| format!("the transport is told as {told}"))
}

/// Which error it is, the kernel's routes decide.
fn failed(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "connect"), |record| {
        wanting(record, 9, "tcp").or_else(|| {
            let told = text(record, "outcome");
            ["established", "pending", "refused", ""].contains(&told).then(|| format!("outcome {told:?}"))
        })
    })
}

fn over_vsock(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "connect"), |record| {
        let peer = at(record, "destination.cid").as_u64();
        if peer != Some(1) {
            return Some(format!("the peer is told as {}", at(record, "destination")));
        }
        wanting(record, 4711, "vsock").or_else(|| {
            let told = text(record, "outcome");
            ["established", "pending", ""].contains(&told).then(|| format!("outcome {told:?}"))
        })
    })
}

/// The socket is told as what it stands for.
fn to_socket(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let path = ground.secrets().join("socket").display().to_string();
    Evidence::one(&evidence.actions(ground, "", "connect"), |record| {
        let (told, outcome) = (text(record, "destination.path"), text(record, "outcome"));
        if told != path || text(record, "destination.transport") != "unix" {
            return Some(format!("the peer is told as {}", at(record, "destination")));
        }
        (outcome != "established").then(|| format!("its outcome is told as {outcome:?}"))
    })
}

/// Whoever reaches such an address, holds what it hands out. Where a service goes is told in any case.
fn handed_out(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    for record in evidence.actions(ground, "-twin", "connect") {
        ensure!(at(record, "credential").is_null(), "the innocent twin came by a credential: {record}");
    }
    Evidence::one(&evidence.actions(ground, "", "connect"), |record| {
        let of = at(record, "credential").as_array().into_iter().flatten();
        let kinds: Vec<&str> = of.map(|credential| text(credential, "kind")).collect();
        if kinds != ["cloud-metadata"] {
            return Some(format!("what it hands out is told as {kinds:?}"));
        }
        told_at(record, 80, "tcp")
    })
}
