//! Names of peers: as a name server has said, and as the client of a connection says.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{both, listen, wanting};
use crate::records::{at, text};
use crate::suite::routes::evidence::Evidence;
use crate::suite::routes::ground::{Ground, Ran};
use crate::suite::routes::{Route, Verdict};
use crate::suite::serves;

pub(super) const ASKED: Route =
    Route { id: "name-dns", prepare: lay_name, act: ask_and_connect, judge: named_before };
pub(super) const SAID: Route =
    Route { id: "name-tls", prepare: listen, act: |g| hello(g, "tls-hello"), judge: named_after };
pub(super) const SAID_IN_PARTS: Route =
    Route { id: "name-tls-split", prepare: listen, act: |g| hello(g, "tls-hello-split"), judge: named_after };

/// Addresses of the loopback device that nobody else uses: a server's, and that of which it tells.
const SERVER: &str = "127.47.11.53:53";
const NAMED: Ipv4Addr = Ipv4Addr::new(127, 47, 11, 8);
const NAME: &str = "peer.routes.example";

fn lay_name(ground: &Ground<'_>) -> Result<()> {
    ground.program("-server")?;
    let listener = TcpListener::bind((NAMED, 0))?;
    ground.note("port", &listener.local_addr()?.port());
    ground.keep(listener);
    Ok(())
}

fn ask_and_connect(ground: &Ground<'_>) -> Result<Ran> {
    let ready = ground.plain().join("ready");
    let (named, ip) = (ready.display().to_string(), NAMED.to_string());
    let mut server = ground.start("-server", &["dns-serve-at", SERVER, &named, NAME, &ip])?;
    serves(&mut server, &ready, "the name server does not serve")?;
    let to = format!("{NAMED}:{}", ground.noted("port")?);
    let secret = ground.secret();
    let ran = ground.real(&["read", &secret, "dns-ask", SERVER, NAME, "connect", &to]);
    if ran.is_err() {
        server.kill().context("the name server")?;
    }
    ground.end("-server", server)?;
    ground.run("-twin", &["login-uid", super::SOMEBODY, "connect", &to])?;
    ran
}

fn named_before(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let port: u64 = ground.noted("port")?.parse()?;
    // It has connected to the name server, too.
    let mut found = evidence.actions(ground, "", "connect");
    found.retain(|record| at(record, "destination.port").as_u64() == Some(port));
    Evidence::one(&found, |record| wanting(record, port, "tcp").or_else(|| unnamed(record, "dns")))
}

fn unnamed(record: &Value, source: &str) -> Option<String> {
    let (name, by) = (text(record, "destination.name"), text(record, "destination.name_source"));
    (name != NAME || by != source).then(|| format!("the name is told as {name:?}, by {by:?}"))
}

fn hello(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    let to = format!("127.0.0.1:{}", ground.noted("port")?);
    both(ground, &[step, &to, NAME])
}

/// A connection that was told without a name, and a record that completes it.
fn named_after(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let port: u64 = ground.noted("port")?.parse()?;
    let connects = evidence.actions(ground, "", "connect");
    let (second, first): (Vec<&Value>, Vec<&Value>) =
        connects.into_iter().partition(|record| !at(record, "completes").is_null());
    let told = Evidence::one(&first, |record| wanting(record, port, "tcp"))?;
    let (Verdict::Seen, [first], [_, ..]) = (&told, &first[..], &second[..]) else {
        let unnamed = matches!(told, Verdict::Seen);
        return Ok(if unnamed { Verdict::Partial("no name is told".to_owned()) } else { told });
    };
    Evidence::one(&second, |record| {
        let completes = at(record, "completes");
        if completes != at(first, "seq") {
            return Some(format!("it completes {completes}"));
        }
        wanting(record, port, "tcp").or_else(|| unnamed(record, "tls"))
    })
}
