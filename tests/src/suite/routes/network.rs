//! Ways to a peer.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;

use super::Route;
use super::Verdict;
use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use crate::records::{at, text};

pub(super) const ROUTES: &[Route] =
    &[Route { id: "tcp-connect", prepare: listen, act: tcp_connect, judge: connected }];

/// A peer on the loopback device, kept until the end.
fn listen(ground: &Ground<'_>) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    ground.note("port", &listener.local_addr()?.port());
    ground.keep(listener);
    Ok(())
}

fn tcp_connect(ground: &Ground<'_>) -> Result<Ran> {
    let to = format!("127.0.0.1:{}", ground.noted("port")?);
    ground.both(&["read", &ground.secret(), "connect", &to], &["read", &ground.innocent(), "connect", &to])
}

/// Established, with the right peer, and linked with the credential; the twin's connection is linked with none.
fn connected(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_unlinked(ground)?;
    let port: u64 = ground.noted("port")?.parse()?;
    Evidence::one(&evidence.actions(ground, "", "connect"), |connect| {
        let outcome = text(connect, "outcome");
        if at(connect, "destination.port").as_u64() != Some(port) {
            Some(format!("the peer is told as {}", at(connect, "destination")))
        } else if outcome != "established" {
            Some(format!("its outcome is told as {outcome:?}"))
        } else {
            (text(connect, "link.basis") != "same-process").then(|| "linked with no credential".to_owned())
        }
    })
}
