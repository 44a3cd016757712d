//! What becomes of connections.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use anyhow::{Result, ensure};

use super::{act_well, closed, is_action, of_chain, port_is, refusing_port};
use crate::Place;
use crate::agent::Agent;
use crate::records::text;

/// Every outcome, IPv4 and IPv6, blocking and not.
pub(super) fn outcomes(place: &Place) -> Result<()> {
    let directory = place.directory("outcomes")?;
    let program = directory.join("dialler");
    place.program(&program)?;
    let (_refuser, refused) = refusing_port()?;
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?;
    let (four, six) = (four.local_addr()?, six.local_addr()?);
    let refused4 = format!("127.0.0.1:{refused}");
    // The broadcast address is no host: a connection there fails before a packet is sent.
    let nowhere = "255.255.255.255:9";
    let mut agent = Agent::start(place, "outcomes", "")?;
    let mut steps = vec!["become".to_owned(), program.display().to_string(), "[".into()];
    for way in ["connect", "poll-connect"] {
        for to in [&four.to_string(), &six.to_string(), &refused4, nowhere] {
            steps.extend([way.to_owned(), to.to_owned()]);
        }
    }
    steps.push("]".into());
    act_well(place, &steps.iter().map(String::as_str).collect::<Vec<_>>())?;
    let chain = closed(&mut agent.records, "/dialler")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let told = |port: u16| -> Vec<&str> {
        of.iter()
            .filter(|r| is_action(r, "connect") && port_is(port)(r))
            .map(|r| text(r, "outcome"))
            .collect()
    };
    ensure!(told(four.port()) == ["established"; 2], "IPv4: {:?}", told(four.port()));
    ensure!(told(six.port()) == ["established"; 2], "IPv6: {:?}", told(six.port()));
    ensure!(told(refused) == ["refused"; 2], "refused: {:?}", told(refused));
    let unreachable = told(9);
    let fails = unreachable.len() == 2
        && unreachable.iter().all(|outcome| ["unreachable", "error"].contains(outcome));
    ensure!(fails, "nowhere: {unreachable:?}");
    drop(agent.stop()?);
    Ok(())
}
