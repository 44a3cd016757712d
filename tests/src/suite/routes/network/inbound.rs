//! Connections from outside.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{SOMEBODY, told_at};
use crate::PATIENCE;
use crate::records::{at, text};
use crate::suite::routes::evidence::Evidence;
use crate::suite::routes::ground::{Ground, Ran};
use crate::suite::routes::{Route, Verdict, nothing};

pub(super) const ACCEPT: Route =
    Route { id: "tcp-accept", prepare: nothing, act: |g| accept(g, "accept-one"), judge: accepted };
pub(super) const ACCEPT_URING: Route = Route {
    id: "tcp-accept-uring",
    prepare: nothing,
    act: |g| accept(g, "uring-accept-one"),
    judge: accepted,
};

fn accept(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    let secret = ground.secret();
    match called(ground, "", &["read", &secret, step])? {
        Ran::Done => called(ground, "-twin", &["login-uid", SOMEBODY, step]),
        Ran::NotThere(reason) => Ok(Ran::NotThere(reason)),
    }
}

/// Starts a program that listens, and calls it.
fn called(ground: &Ground<'_>, suffix: &str, steps: &[&str]) -> Result<Ran> {
    let port_file: PathBuf = ground.plain().join(format!("port{suffix}"));
    let named = port_file.display().to_string();
    let mut child = ground.start(suffix, &[steps, &[&named]].concat())?;
    let deadline = Instant::now() + PATIENCE;
    while !port_file.exists() && child.try_wait()?.is_none() {
        ensure!(Instant::now() < deadline, "nobody listens");
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    if port_file.exists() {
        let port: u16 = fs::read_to_string(&port_file)?.trim().parse()?;
        let caller = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("call")?;
        if suffix.is_empty() {
            ground.note("port", &port);
            ground.note("caller", &caller.local_addr()?.port());
        }
        ground.keep(caller);
    }
    ground.end(suffix, child)
}

fn accepted(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let (port, caller): (u64, u64) = (ground.noted("port")?.parse()?, ground.noted("caller")?.parse()?);
    Evidence::one(&evidence.actions(ground, "", "accept"), |record| {
        if at(record, "source.port").as_u64() != Some(caller) || text(record, "source.ip") != "127.0.0.1" {
            return Some(format!("the caller is told as {}", at(record, "source")));
        }
        told_at(record, port, "tcp")
    })
}
