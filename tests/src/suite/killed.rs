//! The agent killed under load, again and again: what it had stored is there and arrives, and nothing else does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{act, act_well, home, path};
use crate::agent::Agent;
use crate::records::{at, text};
use crate::{PATIENCE, Place};

/// How often, where the environment names no other number in `SPOOR_TEST_KILLS`.
const KILLS: u64 = 5;
/// Most milliseconds from the first opening of a round that shows to the kill.
const MOMENT_MS: u64 = 200;

/// Lines that came over HTTP, in their order.
type Lines = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) fn killed(place: &Place) -> Result<()> {
    let kills = match std::env::var("SPOOR_TEST_KILLS") {
        Ok(number) => number.parse().context("SPOOR_TEST_KILLS is no number")?,
        Err(_) => KILLS,
    };
    let directory = place.directory("killed")?;
    let (port, arrived) = receiver()?;
    let sink = format!("[[sink]]\nname = \"web\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n");
    let (file, store) = (directory.join("agent/records.jsonl"), directory.join("agent/store"));
    let chance = u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.subsec_nanos());
    println!("the moments of killing are made of {chance}");
    let mut agents = Vec::new();
    for round in 1..=kills {
        let own = directory.join(round.to_string());
        fs::create_dir_all(&own)?;
        home(&own, 1)?;
        let secret = path(&own, ".pgpass");
        let agent = Agent::start(place, "killed", &sink)?;
        agents.push(agent.pid());
        let mut load = act(place, &["open", &secret].repeat(2_000))?;
        shows(&file, &secret)?;
        thread::park_timeout(Duration::from_millis(chance.wrapping_mul(round * 7_919) % MOMENT_MS));
        drop(agent); // by SIGKILL
        let status = load.wait()?;
        ensure!(status.success(), "the acting program ended with {status}");
        verified(place, &store).with_context(|| format!("after kill {round}"))?;
        fs::remove_file(directory.join("agent/ready")).context("it was ready")?;
    }
    let mut agent = Agent::start(place, "killed", &sink)?;
    agents.push(agent.pid());
    act_well(place, &["open", &path(&directory.join("1"), ".pgpass")])?;
    let status = agent.end()?;
    ensure!(status.success(), "the agent ended with {status}");
    let count = verified(place, &store)?;
    let web = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    judge(&fs::read(&file)?, &web, count, kills)?;
    themselves(&web, &agents, port)
}

/// Each agent declared itself and where its records go, once; and no record is of what it did.
fn themselves(web: &[Vec<u8>], agents: &[u32], port: u16) -> Result<()> {
    let records: BTreeMap<u64, Value> = web
        .iter()
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|record| Some((record.get("seq")?.as_u64()?, record)))
        .collect();
    let own: Vec<&Value> = records.values().filter_map(|record| record.get("own")).collect();
    let pids: Vec<u64> = own.iter().filter_map(|own| at(own, "pid").as_u64()).collect();
    ensure!(
        pids == agents.iter().map(|pid| u64::from(*pid)).collect::<Vec<u64>>(),
        "{pids:?}, not {agents:?}"
    );
    let to = format!("127.0.0.1:{port}");
    for own in own {
        let web = at(own, "sinks")
            .as_array()
            .and_then(|sinks| sinks.iter().find(|sink| text(sink, "name") == "web"));
        let web = web.with_context(|| format!("no sink of its own: {own}"))?;
        ensure!(text(web, "type") == "webhook" && at(web, "to") == &json!([to]), "where to? {web}");
    }
    let acted = |record: &&Value| at(record, "process.pid").as_u64().is_some_and(|pid| pids.contains(&pid));
    let acted = records.values().filter(|record| text(record, "type") == "action").find(acted);
    ensure!(acted.is_none(), "the agent's own act: {acted:?}");
    Ok(())
}

/// Waits until a text is in a file.
fn shows(file: &Path, text: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(file).unwrap_or_default().contains(text) {
        ensure!(Instant::now() < deadline, "no record of {text}");
        thread::park_timeout(Duration::from_millis(2));
    }
    Ok(())
}

/// How many records the store has, all of them as they were written and no number missing.
pub(super) fn verified(place: &Place, store: &Path) -> Result<u64> {
    let output = Command::new(&place.spoor).arg("verify").arg("--store").arg(store).output()?;
    let said = String::from_utf8(output.stdout)?;
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && !said.contains("without a record"), "{said}{wrong}");
    let line = said.lines().find_map(|line| line.trim().strip_prefix("records "));
    let count = line.and_then(|line| line.trim().split(',').next()?.parse().ok());
    count.with_context(|| format!("how many? {said}"))
}

/// What came to both, repetitions left out, is one and the same: every record once, whole, in order.
fn judge(file: &[u8], web: &[Vec<u8>], count: u64, kills: u64) -> Result<()> {
    let lines: Vec<Vec<u8>> =
        file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    let number = |line: &Vec<u8>| serde_json::from_slice::<Value>(line).ok()?.get("seq")?.as_u64();
    let (whole, torn): (Vec<&Vec<u8>>, Vec<&Vec<u8>>) = lines.iter().partition(|line| number(line).is_some());
    ensure!(torn.len() as u64 <= kills, "{} lines of the file are torn", torn.len());
    let once = |lines: &mut dyn Iterator<Item = &Vec<u8>>| -> Result<BTreeMap<u64, Vec<u8>>> {
        let mut known: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for line in lines {
            let seq =
                number(line).with_context(|| format!("no record: {}", String::from_utf8_lossy(line)))?;
            match known.get(&seq) {
                Some(before) => ensure!(before == line, "{seq} came twice, and not the same"),
                None => {
                    let last = known.last_key_value().map_or(0, |(last, _)| *last);
                    ensure!(seq == last + 1, "{seq} came after {last}");
                    known.insert(seq, line.clone());
                }
            }
        }
        Ok(known)
    };
    let (file, web) = (once(&mut whole.into_iter())?, once(&mut web.iter())?);
    ensure!(file == web, "the file has {} records and the web {}", file.len(), web.len());
    ensure!(file.len() as u64 == count, "{} records came, and {count} are stored", file.len());
    Ok(())
}

/// Takes what is posted.
fn receiver() -> Result<(u16, Lines)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let lines = Lines::default();
    let theirs = Arc::clone(&lines);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lines = Arc::clone(&theirs);
            // A connection that ends in the middle is one of a killed agent.
            thread::spawn(move || drop(requests(stream, &lines)));
        }
    });
    Ok((port, lines))
}

fn requests(stream: TcpStream, lines: &Lines) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = None;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length = length.or_else(|| line.strip_prefix("content-length: ")?.parse().ok());
        }
        let Some(length) = length else { bail!("a request without a length") };
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let new = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec);
        lines.lock().unwrap_or_else(PoisonError::into_inner).extend(new);
        reader.get_mut().write_all(b"HTTP/1.1 204 Taken\r\nContent-Length: 0\r\n\r\n")?;
    }
}
