//! A crowd of connections that nothing tells apart: told in a few records, with nothing lost, and nothing else among them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{act, act_well, closed, is_action, of_chain, one, path, port_is, serves};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, seq, text};

/// Connections before and after the one that goes elsewhere.
const HALF: u64 = 150;
const ALL: u64 = 2 * HALF;

/// A client connects to a server, both of them services, goes elsewhere once, and goes on.
pub(super) fn together(place: &Place) -> Result<()> {
    let directory = place.directory("together")?;
    let file = |name| path(&directory, name);
    let [client, server] = ["crowd-client", "crowd-server"].map(|name| directory.join(name));
    place.program(&client)?;
    place.program(&server)?;
    let [client, server] = [client, server].map(|program| program.display().to_string());
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = elsewhere.local_addr()?;
    let mut agent = Agent::start(place, "together", "")?;
    let (port, never, times) = (file("port"), file("never"), ALL.to_string());
    let [served, before, after] = ["served", "before", "after"].map(file);
    let mut steps = vec!["become", &server, "[", "listen", &port, "until", &never, &times, &served];
    steps.extend(["[", "serve", "[", "nothing", "served", "]", "]", "]"]);
    let mut serving = act(place, &steps)?;
    serves(&mut serving, Path::new(&port), "nobody listens")?;
    let to: u16 = std::fs::read_to_string(&port)?.trim().parse()?;
    let there = format!("127.0.0.1:{to}");
    let (half, other_at) = (HALF.to_string(), other.to_string());
    let crowd = |count| ["until", &never, &half, count, "[", "connect", &there, "]"];
    let mut steps = vec!["become", &client, "["];
    steps.extend(crowd(&before));
    steps.extend(["connect", &other_at]);
    steps.extend(crowd(&after));
    steps.push("]");
    act_well(place, &steps)?;
    let ended = serving.wait()?;
    ensure!(ended.success(), "the server ended with {ended}");

    let [asked, accepted] =
        ["/crowd-client", "/crowd-server"].map(|program| closed(&mut agent.records, program));
    let (asked, accepted) = (asked?, accepted?);
    let connects = crowd_of(&of_chain(&agent.records, text(&asked, "chain")), "connect", to)?;
    let accepts = crowd_of(&of_chain(&agent.records, text(&accepted, "chain")), "accept", to)?;
    ensure!(connects.ports == accepts.ports, "the ends differ: {connects:?}, {accepts:?}");
    let own = of_chain(&agent.records, text(&asked, "chain"));
    let once = one(&own, "connect", port_is(other.port()))?;
    ensure!(at(once, "count").is_null() && text(once, "outcome") == "established", "elsewhere: {once}");
    let halves = connects.until(seq(once));
    ensure!(halves == HALF, "{halves} are told before the one that came after {HALF}");
    let first = at(&asked, "summary.destinations").get(0).cloned().unwrap_or_default();
    let summed = ["attempts", "established"].map(|name| first.get(name).and_then(Value::as_u64));
    ensure!(summed == [Some(ALL); 2], "the summary has {summed:?}");
    ensure!(at(&asked, "summary.folded") == &Value::from(0), "{asked}");
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Those of a crowd, as they are told.
#[derive(Debug)]
struct Crowd {
    /// Number and count of each record.
    records: Vec<(u64, u64)>,
    ports: BTreeSet<u64>,
}

impl Crowd {
    /// How many are told before a record.
    fn until(&self, seq: u64) -> u64 {
        self.records.iter().filter(|(at, _)| *at < seq).map(|(_, count)| count).sum()
    }
}

fn crowd_of(of: &[&Value], action: &str, port: u16) -> Result<Crowd> {
    let told: Vec<&&Value> = of.iter().filter(|r| is_action(r, action) && port_is(port)(r)).collect();
    let records: Vec<(u64, u64)> =
        told.iter().map(|record| (seq(record), at(record, "count").as_u64().unwrap_or(1))).collect();
    let all: u64 = records.iter().map(|(_, count)| count).sum();
    let few = u64::try_from(records.len())?;
    println!("{all} times {action}, in {few} records");
    ensure!(all == ALL, "{all} times {action}: {records:?}");
    ensure!(few < ALL / 2, "hardly any are told together: {records:?}");
    let mut ports = BTreeSet::new();
    for record in told {
        let several = at(record, "source.ports").as_array().cloned();
        let each = several.unwrap_or_else(|| vec![at(record, "source.port").clone()]);
        let count = at(record, "count").as_u64().unwrap_or(1);
        ensure!(u64::try_from(each.len())? == count, "not each has a port: {record}");
        let since = at(record, "since").as_str();
        ensure!(
            since.is_some() == (count > 1) && since.is_none_or(|since| since <= text(record, "time")),
            "{record}"
        );
        ports.extend(each.iter().filter_map(Value::as_u64));
    }
    Ok(Crowd { records, ports })
}
