//! Twins: what is easily taken for one another, done by real programs on a real kernel.
//!
//! Each program says over its connection what it carries, so of each connection the peer knows which credential went over it.
//! What the links make of it is compared with that, and counted over all stories. What must be linked, how well at least,
//! and how badly everything else, stands with the story ([`stories`]).

mod stories;

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::Value;

use self::stories::{Reach, STORIES, Story};
use super::{BACKUP, SECRET, act, act_well, is_action, path, serves};
use crate::agent::Agent;
use crate::records::{Records, at, seq, text};
use crate::{PATIENCE, Place};

/// From here on a link is strong or fair, as docs/CHAINS.md has it.
const STRONG: u64 = 75;
const FAIR: u64 = 30;

/// Where a story is told: its files, and the systems it reaches.
struct Stage<'a> {
    story: &'a Story,
    directory: PathBuf,
    systems: Vec<(&'a str, TcpListener, u16)>,
    /// The last record before it: ports of earlier stories may come again.
    after: u64,
}

/// What came over a connection.
struct Heard {
    system: usize,
    /// The port it came from.
    from: u16,
    text: String,
}

/// Every story, one agent.
pub(super) fn twins(place: &Place) -> Result<()> {
    let directory = place.directory("twins")?;
    let paths = format!("[credentials]\npaths = [\"{}/*/*.token\"]\n", directory.display());
    let mut agent = Agent::start(place, "twins", &paths)?;
    let mut count = Count::default();
    for story in STORIES {
        let told = tell(place, &directory, story, &mut agent.records, &mut count);
        told.with_context(|| story.name.to_owned())?;
    }
    // The table is told, and what must be and must not be decides: of two workers who connect at once either may come first,
    // and a connection in between makes the other's link worth less.
    println!("{}{}", count.table(), count.verdict());
    ensure!(count.mistakes.is_empty(), "{}", count.mistakes.join("\n"));
    let everything = [agent.records.shown(), agent.log()].concat();
    ensure!(!everything.contains(SECRET), "a secret left its file:\n{everything}");
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Plays a story and compares.
fn tell(place: &Place, all: &Path, story: &Story, records: &mut Records, count: &mut Count) -> Result<()> {
    records.refresh()?;
    let after = records.all.last().map_or(0, seq);
    let stage = Stage::set(place, all, story, after)?;
    let (heard, clients) = stage.play(place)?;
    let mut left: Vec<&Reach> = story.reaches.iter().collect();
    for one in &heard {
        let (system, _, port) = stage.systems.get(one.system).context("an unknown system")?;
        let used = stage.used(&one.text)?;
        let is = |reach: &&Reach| reach.to == *system && reach.used == used;
        let declared = left.iter().position(is).with_context(|| format!("{system} heard of {used:?}"))?;
        let reach = left.remove(declared);
        let what = format!("the connection to {system} with {used:?}");
        let connect = records.wait(&what, |record| {
            stage.connects(record) && ends(record) == (Some((*port).into()), Some(one.from.into()))
        })?;
        ensure!(text(&connect, "outcome") == "established", "{connect}");
        count.connection(story.name, reach, &stage.links(&connect)?, &connect);
        let request = served(records, &clients, &connect)?;
        ensure!(request == reach.request, "for request {request:?}, not {:?}: {connect}", reach.request);
    }
    ensure!(left.is_empty(), "never came: {left:?}");
    stage.nothing_else(place, records, heard.len())?;
    stage.openings(records, &clients)?;
    (story.proof)(&stage.records(records))
}

impl<'a> Stage<'a> {
    fn set(place: &Place, all: &Path, story: &'a Story, after: u64) -> Result<Self> {
        let directory = all.join(story.name.replace(' ', "-"));
        fs::create_dir_all(&directory)?;
        chown(&directory, Some(BACKUP), Some(BACKUP))?;
        let mut systems: Vec<(&str, TcpListener, u16)> = Vec::new();
        for name in story.steps.split_whitespace().filter_map(|word| word.strip_prefix('@')) {
            if systems.iter().all(|(known, ..)| *known != name) {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                let port = listener.local_addr()?.port();
                systems.push((name, listener, port));
            }
        }
        for program in story.programs {
            place.program(&directory.join(program))?;
        }
        let stage = Stage { story, directory, systems, after };
        for secret in story.secrets {
            let file = stage.directory.join(secret);
            fs::write(&file, stage.content(secret))?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o400))?;
            chown(&file, Some(BACKUP), Some(BACKUP))?;
        }
        Ok(stage)
    }

    /// What is in a secret's file: the one that is known to name a system names this story's database.
    fn content(&self, secret: &str) -> String {
        let port = self.systems.iter().find(|(name, ..)| *name == "db").map_or(0, |(_, _, port)| *port);
        match secret {
            ".pgpass" => format!("127.0.0.1:{port}:orders:backup:{SECRET}\n"),
            name => format!("{SECRET}-{name}\n"),
        }
    }

    /// The secret with that content; nothing where it was said that there is none.
    fn used(&self, said: &str) -> Result<Option<&'a str>> {
        if said == "nothing" {
            return Ok(None);
        }
        let mut known = self.story.secrets.iter().copied();
        known.find(|secret| self.content(secret) == said).map(Some).context("what came is no secret")
    }

    /// Files and systems by their names.
    fn steps(&self) -> Vec<String> {
        let word = |word: &str| match (word.strip_prefix('%'), word.strip_prefix('@')) {
            (Some(file), _) => path(&self.directory, file),
            (_, Some(name)) => {
                let port = self.systems.iter().find(|(known, ..)| *known == name).map(|(_, _, port)| port);
                format!("127.0.0.1:{}", port.copied().unwrap_or_default())
            }
            _ => word.to_owned(),
        };
        self.story.steps.split_whitespace().map(word).collect()
    }

    /// Plays it to its end: what the systems heard, and the ports of those who asked the worker, in their order.
    fn play(&self, place: &Place) -> Result<(Vec<Heard>, Vec<u16>)> {
        let maker = place.act.display().to_string();
        let steps = self.steps();
        let user = BACKUP.to_string();
        // By one that the agent sees: of who comes from outside the scope, the making is not known.
        let mut all = vec!["spawn", &maker, "["];
        all.extend(steps.iter().map(|step| if step == "USER" { user.as_str() } else { step }));
        all.push("]");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let hearing = scope.spawn(|| self.hear(&done));
            let played = (|| {
                let mut child = act(place, &all)?;
                let clients = self.ask(&mut child);
                let status = child.wait()?;
                ensure!(status.success(), "the acting program ended with {status}");
                clients?.iter().map(|client| Ok(client.local_addr()?.port())).collect()
            })();
            done.store(true, Ordering::Release);
            let heard = hearing.join().map_err(|_| anyhow!("who listens panicked"))??;
            Ok((heard, played?))
        })
    }

    /// Listens until the story is done: each is read to its end, and only then let go.
    fn hear(&self, done: &AtomicBool) -> Result<Vec<Heard>> {
        let mut heard = Vec::new();
        loop {
            let over = done.load(Ordering::Acquire);
            let mut waiting: Vec<PollFd<'_>> = self
                .systems
                .iter()
                .map(|(_, listener, _)| PollFd::new(listener.as_fd(), PollFlags::POLLIN))
                .collect();
            poll(&mut waiting, PollTimeout::from(20u8))?;
            let ready: Vec<bool> = waiting.iter().map(|one| one.any().unwrap_or(false)).collect();
            if over && !ready.contains(&true) {
                return Ok(heard);
            }
            for (system, (_, listener, _)) in self.systems.iter().enumerate() {
                if ready.get(system) == Some(&true) {
                    let (mut peer, from) = listener.accept()?;
                    peer.set_read_timeout(Some(PATIENCE))?;
                    let mut text = String::new();
                    peer.read_to_string(&mut text)?;
                    heard.push(Heard { system, from: from.port(), text });
                }
            }
        }
    }

    /// Asks the worker as often as it is to be asked; whoever asked waits.
    fn ask(&self, worker: &mut Child) -> Result<Vec<TcpStream>> {
        let file = self.directory.join("port");
        if self.story.clients > 0 {
            serves(worker, &file, "the worker does not listen")?;
        }
        let asked = (0..self.story.clients).map(|_| {
            let port: u16 = fs::read_to_string(&file)?.trim().parse()?;
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
        });
        asked.collect()
    }

    /// Links of a connection: each secret, and what its link is worth.
    fn links(&self, connect: &Value) -> Result<HashMap<&'a str, u64>> {
        let list = |path: &str| at(connect, path).as_array().cloned().unwrap_or_default();
        let credentials = list("credential");
        let each = list("link.each");
        // Of one alone the link's own is told.
        let each = if each.is_empty() {
            let only = credentials.iter().map(|only| (text(only, "id"), at(connect, "link.confidence")));
            only.collect::<Vec<_>>()
        } else {
            each.iter().map(|each| (text(each, "credential"), at(each, "confidence"))).collect()
        };
        let mut links = HashMap::new();
        for (id, worth) in each {
            let known = credentials.iter().find(|credential| text(credential, "id") == id);
            let file = known.map(|known| text(known, "path")).unwrap_or_default();
            let is = |secret: &&&str| path(&self.directory, secret) == file;
            let secret = self.story.secrets.iter().find(is).with_context(|| format!("{id}: {connect}"))?;
            links.insert(*secret, worth.as_u64().with_context(|| format!("no confidence: {connect}"))?);
        }
        Ok(links)
    }

    /// When a later act is there, no other connection went to the story's systems, and none is told twice.
    fn nothing_else(&self, place: &Place, records: &mut Records, heard: usize) -> Result<()> {
        let last = self.directory.join("last.token");
        fs::write(&last, "none\n")?;
        act_well(place, &["open", &last.display().to_string()])?;
        let last = last.display().to_string();
        records.wait("the sentinel", |record| text(record, "file.path") == last)?;
        let told = self.records(records);
        ensure!(told.len() == heard, "{heard} connections are told as {}: {told:?}", told.len());
        Ok(())
    }

    /// Each secret was opened for the request for which the story says so.
    fn openings(&self, records: &Records, clients: &[u16]) -> Result<()> {
        for (secret, request) in self.story.opened {
            let file = path(&self.directory, secret);
            let is = |record: &&Value| is_action(record, "secret.open") && text(record, "file.path") == file;
            let opening = records.all.iter().find(is).with_context(|| format!("{secret} was not opened"))?;
            let told = served(records, clients, opening)?;
            ensure!(told == *request, "for request {told:?}, not {request:?}: {opening}");
        }
        Ok(())
    }

    /// Whether that is a connection to one of its systems.
    fn connects(&self, record: &Value) -> bool {
        let port = ends(record).0;
        let is_own = |(_, _, own): &(&str, TcpListener, u16)| port == Some((*own).into());
        seq(record) > self.after && is_action(record, "connect") && self.systems.iter().any(is_own)
    }

    /// All of them.
    fn records<'r>(&self, records: &'r Records) -> Vec<&'r Value> {
        records.all.iter().filter(|record| self.connects(record)).collect()
    }
}

/// Where a connection goes, and whence.
fn ends(record: &Value) -> (Option<u64>, Option<u64>) {
    (at(record, "destination.port").as_u64(), at(record, "source.port").as_u64())
}

/// Which of the clients it was done for.
fn served(records: &Records, clients: &[u16], action: &Value) -> Result<Option<usize>> {
    let Some(request) = at(action, "request").as_u64() else { return Ok(None) };
    let accept = records.all.iter().find(|record| seq(record) == request && is_action(record, "accept"));
    let accept = accept.with_context(|| format!("the request is no `accept`: {action}"))?;
    let from = ends(accept).1;
    let client = clients.iter().position(|port| from == Some((*port).into()));
    client.map(Some).with_context(|| format!("accepted from nobody who asked: {accept}"))
}

/// Links of all stories, at each of two levels.
#[derive(Default)]
struct Count {
    levels: [Level; 3],
    /// Links that must be, and those of them that are.
    required: usize,
    kept: usize,
    /// Links that must not be, or not be worth so much.
    forbidden: usize,
    mistakes: Vec<String>,
}

#[derive(Default)]
struct Level {
    right: usize,
    wrong: usize,
    missing: usize,
}

const LEVELS: [(&str, u64); 3] = [("strong", STRONG), ("at least fair", FAIR), ("any, weak ones too", 1)];

impl Count {
    fn connection(&mut self, story: &str, reach: &Reach, links: &HashMap<&str, u64>, connect: &Value) {
        let own = reach.used.and_then(|used| links.get(used)).copied().unwrap_or(0);
        let others = links.iter().filter(|(secret, _)| reach.used != Some(**secret));
        let others: Vec<u64> = others.map(|(_, worth)| *worth).collect();
        for (level, (_, least)) in self.levels.iter_mut().zip(LEVELS) {
            level.wrong += others.iter().filter(|worth| **worth >= least).count();
            level.right += usize::from(own >= least);
            level.missing += usize::from(reach.used.is_some() && own < least);
        }
        println!("{story}: {} with {:?}: {own}, others {others:?}", reach.to, reach.used);
        self.required += usize::from(reach.least > 0);
        self.kept += usize::from(reach.least > 0 && own >= reach.least);
        let forbidden = others.iter().filter(|worth| **worth > reach.most).count();
        self.forbidden += forbidden;
        if own < reach.least || forbidden > 0 {
            let wanted = format!("at least {}, others at most {}", reach.least, reach.most);
            self.mistakes.push(format!("{story}: {own}, others {others:?}, not {wanted}: {connect}"));
        }
    }

    /// As the table in docs/CHAINS.md has it.
    fn table(&self) -> String {
        let rows = self.levels.iter().zip(LEVELS).map(|(level, (name, _))| {
            let Level { right, wrong, missing } = level;
            let (precision, recall) = (share(*right, right + wrong), share(*right, right + missing));
            format!(
                "| by real programs | {name} | {right} | {wrong} | {missing} | {precision} | {recall} |\n"
            )
        });
        rows.collect()
    }

    /// What decides.
    fn verdict(&self) -> String {
        let Self { required, kept, forbidden, .. } = self;
        let recall = share(*kept, *required);
        format!("links that must be: {kept} of {required} (recall {recall}); that must not be: {forbidden}")
    }
}

/// One number of another, with two digits.
fn share(right: usize, of: usize) -> String {
    let per_cent = (right * 200 + of).checked_div(of * 2).unwrap_or(100);
    format!("{}.{:02}", per_cent / 100, per_cent % 100)
}
