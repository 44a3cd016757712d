//! What was seen, as a proposal of purposes for a person to review. Lists what was seen and little else: where it says more
//! than that, it says so, beside the line.

mod destinations;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::act::{Act, Program, Towards, Using};
use super::pattern::literal;
use crate::credential::Credential;
use destinations::{Destinations, Place};

/// An act as it was recorded.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// Id of the actor.
    pub actor: String,
    /// Path of the program.
    pub exe: String,
    /// Of a script, the script as it was named.
    pub script: Option<String>,
    /// The program's file has no name, or not all of its path is known.
    pub unsure: bool,
    /// Credentials of the act.
    pub credentials: Vec<Arc<Credential>>,
    /// It is about them; else the process held them.
    pub own: bool,
    /// Where to.
    pub to: SightedAt,
    /// When, ns since 1970.
    pub wall_ns: i64,
    /// How often, where one record tells of several.
    pub times: u64,
    /// In which chain.
    pub chain: String,
}

/// Where a recorded act went.
#[derive(Clone, Debug)]
pub enum SightedAt {
    /// Nowhere.
    Nowhere,
    /// To an address; see [`Towards::Inet`].
    Inet {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
        /// Names the host was told for it.
        heard: Vec<Arc<str>>,
        /// The name the client asked for.
        said: Option<String>,
    },
    /// To a virtual machine or its host.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
    /// To a unix socket.
    Unix(String),
}

impl Sighting {
    /// The act, to be judged.
    #[must_use]
    pub fn act(&self) -> Act<'_> {
        let program = Program {
            exe: self.exe.as_bytes(),
            script: self.script.as_ref().map(String::as_bytes),
            unsure: self.unsure,
            // Records do not carry it.
            digest: None,
        };
        let using = match self.credentials.as_slice() {
            [] => Using::Nothing,
            own if self.own => Using::Each(own),
            held => Using::Any(held),
        };
        let towards = match &self.to {
            SightedAt::Nowhere => Towards::Nowhere,
            SightedAt::Inet { ip, port, heard, said } => {
                Towards::Inet { ip: *ip, port: *port, heard, said: said.as_deref() }
            }
            SightedAt::Vsock { cid, port } => Towards::Vsock { cid: *cid, port: *port },
            SightedAt::Unix(path) => Towards::Unix(path.as_bytes()),
        };
        Act { actor: &self.actor, program, using, towards, wall_ns: self.wall_ns }
    }
}

/// Most actors.
const ACTORS_MAX: usize = 10_000;
/// Most of anything learnt of one of them.
const EACH_MAX: usize = 1_000;
/// Most chains that are remembered to be counted.
const CHAINS_MAX: usize = 10_000;

/// When, how often and in which chain something was seen.
#[derive(Clone, Copy, Debug)]
struct Once<'a> {
    wall_ns: i64,
    times: u64,
    chain: &'a Arc<str>,
}

/// How often, when, and in which chains something was seen.
#[derive(Clone, Debug, Default)]
struct Evidence {
    count: u64,
    first_ns: i64,
    last_ns: i64,
    chains: BTreeSet<Arc<str>>,
    last_chain: Option<Arc<str>>,
}

impl Evidence {
    fn saw(&mut self, Once { wall_ns, times, chain }: Once<'_>) {
        self.first_ns = if self.count == 0 { wall_ns } else { self.first_ns.min(wall_ns) };
        if self.count == 0 || wall_ns >= self.last_ns {
            self.last_ns = wall_ns;
            self.last_chain = Some(Arc::clone(chain));
        }
        self.count = self.count.saturating_add(times);
        if self.chains.len() < CHAINS_MAX {
            self.chains.insert(Arc::clone(chain));
        }
    }

    fn add(&mut self, other: &Evidence) {
        if self.count == 0 {
            *self = other.clone();
            return;
        }
        self.count = self.count.saturating_add(other.count);
        self.first_ns = self.first_ns.min(other.first_ns);
        if other.last_ns > self.last_ns {
            self.last_ns = other.last_ns;
            self.last_chain.clone_from(&other.last_chain);
        }
        self.chains.extend(other.chains.iter().take(CHAINS_MAX).cloned());
    }
}

/// Something of which an actor was seen to have several, by how a declaration writes it.
type Seen = BTreeMap<String, Evidence>;

/// What was seen of one actor.
#[derive(Clone, Debug, Default)]
struct Learnt {
    all: Evidence,
    programs: Seen,
    credentials: Seen,
    destinations: Destinations,
    /// Days since 1970, and hours of the day in UTC.
    days: BTreeSet<i64>,
    hours: [bool; 24],
    /// Credential, program and destination that were seen together.
    together: BTreeSet<(String, String, String)>,
    /// Acts that a line of its own cannot be written for: the program has no sure path.
    nameless: u64,
    /// What a bound left out.
    left_out: u64,
}

/// Collects sightings, and proposes.
#[derive(Clone, Debug, Default)]
pub struct Learner {
    actors: BTreeMap<String, Learnt>,
    chains: BTreeSet<Arc<str>>,
    /// Sightings of actors for whom there was no room.
    refused: u64,
}

impl Learner {
    /// Takes a sighting in.
    pub fn see(&mut self, seen: &Sighting) {
        if !self.actors.contains_key(&seen.actor) && self.actors.len() >= ACTORS_MAX {
            self.refused += 1;
            return;
        }
        let chain = match self.chains.get(seen.chain.as_str()) {
            Some(chain) => Arc::clone(chain),
            None => Arc::from(seen.chain.as_str()),
        };
        if self.chains.len() < CHAINS_MAX {
            self.chains.insert(Arc::clone(&chain));
        }
        self.actors.entry(seen.actor.clone()).or_default().saw(seen, &chain);
    }
}

impl Learnt {
    fn saw(&mut self, seen: &Sighting, chain: &Arc<str>) {
        const HOUR_S: i64 = 3_600;
        let once = Once { wall_ns: seen.wall_ns, times: seen.times, chain };
        self.all.saw(once);
        let seconds = seen.wall_ns.div_euclid(1_000_000_000);
        self.days.insert(seconds.div_euclid(24 * HOUR_S));
        let hour = usize::try_from(seconds.div_euclid(HOUR_S).rem_euclid(24)).unwrap_or(0);
        self.hours.iter_mut().skip(hour).take(1).for_each(|hour| *hour = true);

        let act = seen.act();
        let path = act.program.path().and_then(|path| std::str::from_utf8(path).ok()).and_then(literal);
        match &path {
            Some(path) => note(&mut self.programs, path, once, &mut self.left_out),
            None => self.nameless += 1,
        }
        let credentials: Vec<String> =
            seen.credentials.iter().map(|credential| written(credential)).collect();
        for credential in &credentials {
            note(&mut self.credentials, credential, once, &mut self.left_out);
        }
        let Some(place) = Place::of(act.towards) else {
            return;
        };
        let to = place.to_string();
        self.left_out += u64::from(!self.destinations.saw(place, once));
        for credential in credentials {
            if self.together.len() < EACH_MAX {
                self.together.insert((credential, path.clone().unwrap_or_default(), to.clone()));
            }
        }
    }
}

fn note(seen: &mut Seen, text: &str, once: Once<'_>, left_out: &mut u64) {
    if !seen.contains_key(text) && seen.len() >= EACH_MAX {
        *left_out += 1;
        return;
    }
    seen.entry(text.to_owned()).or_default().saw(once);
}

/// A credential as the pattern for it: its path, which stays when the secret is another; else its id.
fn written(credential: &Credential) -> String {
    let path = std::str::from_utf8(&credential.path).ok().filter(|path| !path.contains('\\'));
    path.and_then(literal).unwrap_or_else(|| format!("id:{}", credential.id))
}
