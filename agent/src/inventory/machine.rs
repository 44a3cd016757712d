//! What is known, and what of it is to be told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::entry::{Account, Holding, Place, Span, Towards, file_of, program_of, wall};
use super::few::{Few, Recent};
use super::{Found, Limits, Told, Totals, What, Why, person};
use crate::action::Action;
use crate::actor::Actor;
use crate::chain::{Acted, Closed, Note, RunId};
use crate::credential::Credential;

/// Most programs remembered of one entry, and most files of a credential.
const SHORT: usize = 16;

/// All that is known.
#[derive(Debug)]
pub struct Inventory {
    pub(super) limits: Limits,
    wall_offset_ns: i64,
    pub(super) since_ns: i64,
    pub(super) actors: BTreeMap<Arc<str>, Account>,
    pub(super) credentials: BTreeMap<Arc<str>, Holding>,
    pub(super) totals: Totals,
    /// When all is to be told, ns of `CLOCK_BOOTTIME`; `None` before the first tick.
    next_set_ns: Option<u64>,
    /// What is left of the set that is being told.
    set: VecDeque<Key>,
    /// A set has been told: from then on, what a scan finds is news.
    told_all: bool,
}

#[derive(Debug)]
enum Key {
    Actor(Arc<str>),
    Credential(Arc<str>),
    End,
}

/// Who acts, when and by what: what an action says of each entry it concerns.
struct Act<'a> {
    time_ns: i64,
    actor: &'a Arc<Actor>,
    run: RunId,
    program: &'a [u8],
    each: usize,
}

impl Inventory {
    /// Nothing is known yet. The host is watched since `since_ns`, ns since 1970; `wall_offset_ns` makes such times of boot
    /// time.
    #[must_use]
    pub fn new(limits: Limits, wall_offset_ns: i64, since_ns: i64) -> Self {
        Self {
            limits: Limits { entries: limits.entries.max(1), at_once: limits.at_once.max(1), ..limits },
            wall_offset_ns,
            since_ns,
            actors: BTreeMap::new(),
            credentials: BTreeMap::new(),
            totals: Totals::default(),
            next_set_ns: None,
            set: VecDeque::new(),
            told_all: false,
        }
    }

    /// What was told in an earlier life. Nothing is told of it now; of two of one name, the one that comes first counts.
    pub fn recall(&mut self, what: What) {
        match what {
            What::Actor(account) if self.actors.len() < self.limits.entries => {
                self.actors.entry(account.actor.id.as_str().into()).or_insert(*account);
            }
            What::Credential(holding) if self.credentials.len() < self.limits.entries => {
                self.credentials.entry(holding.credential.id.as_str().into()).or_insert(*holding);
            }
            What::Actor(_) => self.totals.actors_forgotten += 1,
            What::Credential(_) => self.totals.credentials_forgotten += 1,
            What::Host(_) => {}
        }
    }

    /// All was recalled: what had gone by then is not known any more.
    pub fn recalled(&mut self) {
        self.credentials.retain(|_, known| known.used.is_some() || !known.files.is_empty());
    }

    /// Files that hold credentials that nobody was seen to use, and which.
    pub fn unused_files(&self) -> impl Iterator<Item = (&Arc<str>, &[u8])> {
        let known = self.credentials.iter().filter(|(_, known)| known.used.is_none());
        known.flat_map(|(id, known)| known.files.iter().map(move |(path, _)| (id, path.as_slice())))
    }

    /// Service accounts and credentials that are known.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.actors.len(), self.credentials.len())
    }

    /// What a chain tells.
    pub fn note(&mut self, note: &Note, out: &mut Vec<Told>) {
        match note {
            Note::Acted(acted) => self.acted(acted, out),
            Note::Closed(closed) => self.closed(closed, out),
            Note::Opened(_) | Note::Completed(_) | Note::Gap(_) => {}
        }
    }

    /// A scan found a credential, or that its file is another now.
    pub fn found(&mut self, found: &Found, time_ns: u64, out: &mut Vec<Told>) {
        let now = wall(time_ns, self.wall_offset_ns);
        let id = found.credential.id.as_str();
        let full = self.credentials.len() >= self.limits.entries;
        let Some(holding) = self.credentials.get_mut(id) else {
            if full {
                self.totals.files_refused += 1;
                return;
            }
            let mut holding = Holding::new(&found.credential, now);
            holding.is(&found.credential);
            holding.lies(&found.path, found.place);
            if self.told_all {
                self.tell(time_ns, vec![Why::New], What::Credential(Box::new(holding.clone())), out);
            }
            self.credentials.insert(id.into(), holding);
            return;
        };
        holding.lies(&found.path, found.place);
        if holding.is(&found.credential) {
            let what = What::Credential(Box::new(holding.clone()));
            self.tell(time_ns, vec![Why::NewVersion], what, out);
        }
    }

    /// A file that held a credential is gone. One that nobody used and that lies nowhere else is not known any more.
    pub fn gone(&mut self, id: &str, path: &[u8], time_ns: u64, out: &mut Vec<Told>) {
        let Some(holding) = self.credentials.get_mut(id) else {
            return;
        };
        if holding.files.remove(path).is_none() {
            return;
        }
        let what = What::Credential(Box::new(holding.clone()));
        if holding.files.is_empty() && holding.used.is_none() {
            self.credentials.remove(id);
        }
        self.tell(time_ns, vec![Why::Gone], what, out);
    }

    /// Time has passed.
    pub fn tick(&mut self, time_ns: u64, out: &mut Vec<Told>) {
        let due = *self.next_set_ns.get_or_insert(time_ns.saturating_add(self.limits.first_ns));
        if time_ns >= due && self.set.is_empty() {
            self.next_set_ns = Some(time_ns.saturating_add(self.limits.every_ns));
            self.set.extend(self.actors.keys().map(|id| Key::Actor(Arc::clone(id))));
            self.set.extend(self.credentials.keys().map(|id| Key::Credential(Arc::clone(id))));
            self.set.push_back(Key::End);
        }
        for _ in 0..self.limits.at_once {
            let Some(key) = self.set.pop_front() else { return };
            // What was forgotten meanwhile is not told.
            let what = match key {
                Key::Actor(id) => self.actors.get(&id).map(|known| What::Actor(Box::new(known.clone()))),
                Key::Credential(id) => {
                    self.credentials.get(&id).map(|known| What::Credential(Box::new(known.clone())))
                }
                Key::End => {
                    self.told_all = true;
                    Some(What::Host(self.totals()))
                }
            };
            what.into_iter().for_each(|what| self.tell(time_ns, vec![Why::Daily], what, out));
        }
    }

    fn totals(&self) -> Totals {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Totals {
            actors: count(self.actors.len()),
            credentials: count(self.credentials.len()),
            unused: count(self.credentials.values().filter(|known| known.used.is_none()).count()),
            ..self.totals
        }
    }

    fn tell(&self, time_ns: u64, why: Vec<Why>, what: What, out: &mut Vec<Told>) {
        out.push(Told { time_ns, since_ns: self.since_ns, why, what });
    }

    fn acted(&mut self, acted: &Acted, out: &mut Vec<Told>) {
        let action = &acted.action;
        let act = Act {
            time_ns: wall(action.time_ns, self.wall_offset_ns),
            actor: &action.actor,
            run: acted.run,
            program: program_of(action),
            each: self.limits.each,
        };
        let towards = Towards::of(&action.deed);
        if act.actor.kind.is_service() {
            let (account, new) = self.account(&act);
            account.saw(&act, &acted.credentials);
            towards.iter().for_each(|towards| {
                towards.add_to(&mut account.destinations, act.time_ns, act.each);
            });
            if new {
                let what = What::Actor(Box::new(account.clone()));
                self.tell(action.time_ns, vec![Why::New], what, out);
            }
        }
        for credential in &acted.credentials {
            // A weak link says nothing of where a credential is used.
            let weak = acted.link.as_ref().is_some_and(|link| link.is_weak(&credential.id));
            let towards = towards.as_ref().filter(|_| !weak);
            self.used(credential, &act, Some(action), towards, action.time_ns, out);
        }
    }

    /// Of a chain that held more than was recorded of it, the credentials.
    fn closed(&mut self, closed: &Closed, out: &mut Vec<Told>) {
        if closed.summary.folded == 0 {
            return;
        }
        let act = Act {
            time_ns: wall(closed.since_ns, self.wall_offset_ns),
            actor: &closed.actor,
            run: closed.run,
            program: &[],
            each: self.limits.each,
        };
        for credential in &closed.summary.credentials {
            self.used(credential, &act, None, None, closed.time_ns, out);
        }
    }

    fn account(&mut self, act: &Act<'_>) -> (&mut Account, bool) {
        let id = act.actor.id.as_str();
        let new = !self.actors.contains_key(id);
        if new {
            let last = |known: &Account| known.span.last_ns;
            self.totals.actors_forgotten += make_room(&mut self.actors, self.limits.entries, last);
        }
        (self.actors.entry(id.into()).or_insert_with(|| Account::new(act)), new)
    }

    fn used(
        &mut self,
        credential: &Arc<Credential>,
        act: &Act<'_>,
        action: Option<&Action>,
        towards: Option<&Towards<'_>>,
        time_ns: u64,
        out: &mut Vec<Told>,
    ) {
        let id = credential.id.as_str();
        let mut why = Vec::new();
        if !self.credentials.contains_key(id) {
            why.push(Why::New);
            let last = |known: &Holding| known.used.map_or(known.known_ns, |used| used.last_ns);
            self.totals.credentials_forgotten += make_room(&mut self.credentials, self.limits.entries, last);
        }
        let make = || Holding::new(credential, act.time_ns);
        let holding = self.credentials.entry(id.into()).or_insert_with(make);
        if holding.is(credential) {
            why.push(Why::NewVersion);
        }
        if let Some((file, of)) = action.and_then(|action| file_of(&action.deed))
            && of.id == credential.id
        {
            let (owner, mode, written) = (file.owner, file.mode, credential.written);
            holding.lies(&file.path.bytes, Place { owner, mode, written });
        }
        why.extend(holding.saw(act));
        if towards.is_some_and(|towards| towards.add_to(&mut holding.destinations, act.time_ns, act.each)) {
            why.push(Why::NewDestination);
        }
        if !why.is_empty() {
            let what = What::Credential(Box::new(holding.clone()));
            self.tell(time_ns, why, what, out);
        }
    }
}

/// Where a table is full, forgets some of those that acted longest ago, so that it is not asked at each newcomer. Tells
/// how many.
fn make_room<T>(table: &mut BTreeMap<Arc<str>, T>, max: usize, last: impl Fn(&T) -> i64) -> u64 {
    if table.len() < max {
        return 0;
    }
    let mut by_age: Vec<(i64, Arc<str>)> =
        table.iter().map(|(id, known)| (last(known), Arc::clone(id))).collect();
    by_age.sort_unstable();
    by_age.truncate((max / 16).max(1));
    by_age.iter().for_each(|(_, id)| drop(table.remove(id)));
    u64::try_from(by_age.len()).unwrap_or(u64::MAX)
}

impl Account {
    fn new(act: &Act<'_>) -> Self {
        Account {
            actor: Arc::clone(act.actor),
            span: Span::at(act.time_ns),
            runs: Recent::default(),
            program: Vec::new(),
            programs: Few::default(),
            credentials: Few::default(),
            people: Few::default(),
            destinations: Few::default(),
        }
    }

    fn saw(&mut self, act: &Act<'_>, credentials: &[Arc<Credential>]) {
        self.actor = Arc::clone(act.actor);
        self.span.saw(act.time_ns);
        self.runs.saw(&act.run);
        ran(&mut self.program, &mut self.programs, act);
        for credential in credentials {
            met(&mut self.credentials, &credential.id, act);
        }
        if let Some(person) = person(act.actor) {
            met(&mut self.people, person, act);
        }
    }
}

impl Holding {
    fn new(credential: &Arc<Credential>, known_ns: i64) -> Self {
        Holding {
            credential: Arc::clone(credential),
            known_ns,
            used: None,
            runs: Recent::default(),
            versions: Recent::default(),
            files: Few::default(),
            program: Vec::new(),
            programs: Few::default(),
            actors: Few::default(),
            people: Few::default(),
            destinations: Few::default(),
        }
    }

    /// What it is now. Tells whether it was something else before.
    fn is(&mut self, credential: &Arc<Credential>) -> bool {
        self.credential = Arc::clone(credential);
        let before = self.versions.count();
        credential.version.as_ref().is_some_and(|version| self.versions.saw(version)) && before != 0
    }

    fn lies(&mut self, path: &[u8], place: Place) {
        if let Some((known, _)) = self.files.entry(path.to_vec(), SHORT, || place) {
            *known = place;
        }
    }

    /// Somebody acted with it. Tells what is new of that.
    fn saw(&mut self, act: &Act<'_>) -> Vec<Why> {
        self.used.get_or_insert(Span::at(act.time_ns)).saw(act.time_ns);
        self.runs.saw(&act.run);
        ran(&mut self.program, &mut self.programs, act);
        let mut why = Vec::new();
        if act.actor.kind.is_service() && met(&mut self.actors, &act.actor.id, act) {
            why.push(Why::NewActor);
        }
        if person(act.actor).is_some_and(|person| met(&mut self.people, person, act)) {
            why.push(Why::NewPerson);
        }
        why
    }
}

/// Whether the name is new among those that were met.
fn met(known: &mut Few<Arc<str>, Span>, name: &str, act: &Act<'_>) -> bool {
    if let Some(span) = known.get_mut(name) {
        span.saw(act.time_ns);
        return false;
    }
    known.entry(name.into(), act.each, || Span::at(act.time_ns)).is_some()
}

fn ran(last: &mut Vec<u8>, programs: &mut Few<Vec<u8>, i64>, act: &Act<'_>) {
    if act.program.is_empty() {
        return;
    }
    if last != act.program {
        act.program.clone_into(last);
    }
    if let Some(time) = programs.get_mut(act.program) {
        *time = act.time_ns.max(*time);
    } else {
        programs.entry(act.program.to_vec(), SHORT, || act.time_ns);
    }
}
