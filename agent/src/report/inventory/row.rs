//! An actor or a credential, and what it had to do with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{HUMAN, person};
use crate::record::{View, nanoseconds};
use crate::report::words;

/// Most of anything told of one of them.
pub(super) const EACH_MAX: usize = 64;

/// What was seen with something, up to a bound, and how many times one more was refused.
#[derive(Debug)]
pub(super) struct Some64<T> {
    pub(super) values: BTreeMap<String, T>,
    pub(super) refused: u64,
}

impl<T> Default for Some64<T> {
    fn default() -> Self {
        Some64 { values: BTreeMap::new(), refused: 0 }
    }
}

impl<T: Default> Some64<T> {
    pub(super) fn at(&mut self, value: &str) -> Option<&mut T> {
        if !self.values.contains_key(value) {
            if self.values.len() >= EACH_MAX {
                self.refused += 1;
                return None;
            }
            self.values.insert(value.to_owned(), T::default());
        }
        self.values.get_mut(value)
    }

    pub(super) fn add(&mut self, value: &str) {
        self.at(value);
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// How often something was done, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// Within the time that is asked for; what is known from the inventory only has none.
    pub(super) actions: u64,
    pub(super) span: Option<(i64, i64)>,
}

impl Times {
    pub(super) fn saw(&mut self, first_ns: i64, last_ns: i64) {
        let (first, last) = self.span.unwrap_or((first_ns, last_ns));
        self.span = Some((first.min(first_ns), last.max(last_ns)));
    }
}

/// Attempts to reach a destination.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tries {
    pub(super) all: u64,
    pub(super) established: u64,
}

/// A file that holds a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) owner: u32,
    pub(super) mode: u32,
}

/// An actor or a credential.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) kind: String,
    /// When it acted or was used, as far as anybody knows.
    pub(super) times: Times,
    /// Since when it is known.
    pub(super) known_ns: Option<i64>,
    pub(super) last_program: String,
    pub(super) runs: Some64<()>,
    /// Runs that the inventory counted.
    pub(super) runs_known: u64,
    /// Of an actor its origins, of a credential its paths.
    pub(super) ways: Some64<()>,
    pub(super) users: Some64<()>,
    pub(super) programs: Some64<()>,
    /// Of an actor its credentials, of a credential its actors.
    pub(super) others: Some64<Times>,
    /// People who used the credential or started the actor.
    pub(super) people: Some64<Times>,
    pub(super) destinations: Some64<Tries>,
    pub(super) identifiers: BTreeMap<String, String>,
    /// Of a credential: what it held, one after the other, and fingerprints of all of that.
    pub(super) versions: Some64<()>,
    pub(super) versions_known: u64,
    pub(super) fingerprints: Some64<()>,
    /// When its file was last seen to be written, ns since 1970.
    pub(super) written_ns: Option<i64>,
    pub(super) files: BTreeMap<String, Place>,
    pub(super) expires_ns: Option<i64>,
    pub(super) issuer: String,
    pub(super) lifetime: String,
    pub(super) max_age_ns: Option<i64>,
    /// By its kind, no person should open it.
    pub(super) services_only: bool,
    /// A service account used it on nobody's behalf.
    pub(super) of_service: bool,
    /// Whole sets of the inventory that had been told when this was told last.
    pub(super) told: Option<u64>,
}

impl Row {
    /// Who acted, when, by which program. Within the time that is asked for.
    pub(super) fn saw(&mut self, view: &View) {
        self.times.actions += 1;
        self.times.saw(view.time_ns(), view.time_ns());
        let program = view.text("process.script").or_else(|| view.text("process.exe")).unwrap_or("?");
        self.programs.add(program);
        program.clone_into(&mut self.last_program);
        view.text("run").into_iter().for_each(|run| self.runs.add(run));
        view.text("actor.user").into_iter().for_each(|user| self.users.add(user));
        match person(view) {
            Some(who) => met(&mut self.people, who, view),
            None => self.of_service |= view.text("actor.kind") != Some(HUMAN),
        }
    }

    /// A credential, and where it lies.
    pub(super) fn is(&mut self, credential: &Value) {
        let text = |name| words::text(credential, name);
        text("kind").unwrap_or_default().clone_into(&mut self.kind);
        text("path").filter(|path| !path.is_empty()).into_iter().for_each(|path| self.ways.add(path));
        text("version").into_iter().for_each(|version| self.versions.add(version));
        let prints = credential.get("fingerprints").and_then(Value::as_array);
        prints.into_iter().flatten().filter_map(Value::as_str).for_each(|print| self.fingerprints.add(print));
        self.written_ns = self.written_ns.max(text("written").and_then(nanoseconds));
        // The newest word counts: a credential that was renewed ends later.
        self.expires_ns = text("expires").and_then(nanoseconds).or(self.expires_ns);
        for (value, field) in [(text("issuer"), &mut self.issuer), (text("lifetime"), &mut self.lifetime)] {
            value.into_iter().for_each(|value| value.clone_into(field));
        }
        let seconds = credential.get("max_age_s").and_then(Value::as_i64);
        self.max_age_ns = seconds.map(|seconds| seconds.saturating_mul(1_000_000_000)).or(self.max_age_ns);
        self.services_only |= text("human_use") == Some("finding");
        let identifiers = credential.get("identifiers").and_then(Value::as_object);
        for (name, value) in identifiers.into_iter().flatten() {
            if self.identifiers.len() < EACH_MAX || self.identifiers.contains_key(name) {
                self.identifiers.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
    }

    pub(super) fn used(&mut self, view: &View, actor: &str) {
        self.saw(view);
        met(&mut self.others, actor, view);
        // The file of an opening is that of the credential it tells of. A socket's mode says who may ask, which is what
        // sockets are for.
        let only = view.list("credential").len() == 1 && view.at("destination").is_none();
        if let (true, Some(file)) = (only, view.at("file")) {
            self.lies(file);
        }
    }

    /// A file with it.
    pub(super) fn lies(&mut self, file: &Value) {
        let mode = words::text(file, "mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let owner = file.get("owner").and_then(Value::as_u64).and_then(|owner| u32::try_from(owner).ok());
        let Some((path, mode)) = words::text(file, "path").zip(mode) else { return };
        if self.files.len() < EACH_MAX || self.files.contains_key(path) {
            self.files.insert(path.to_owned(), Place { owner: owner.unwrap_or(0), mode });
        }
    }

    pub(super) fn reached(&mut self, view: &View) {
        let Some(destination) = view.at("destination") else { return };
        if view.text("action") == Some("accept") {
            return;
        }
        let Some(tries) = self.destinations.at(&words::address(destination)) else { return };
        tries.all += 1;
        tries.established += u64::from(matches!(view.text("outcome"), Some("established" | "sent")));
    }

    /// What the inventory tells of it, beside what its actions do.
    pub(super) fn told(&mut self, view: &View) {
        let time = |name: &str| view.text(name).and_then(nanoseconds);
        if let Some((first, last)) = time("first").zip(time("last")) {
            self.times.saw(first, last);
        }
        let known = time("known").or(time("first"));
        self.known_ns = [self.known_ns, known].into_iter().flatten().min();
        self.runs_known = self.runs_known.max(view.number("runs").unwrap_or(0));
        self.versions_known = self.versions_known.max(view.number("versions").unwrap_or(0));
        if let Some(program) = view.text("last_program").filter(|_| self.last_program.is_empty()) {
            program.clone_into(&mut self.last_program);
        }
        let texts = |name: &str| view.list(name).iter().filter_map(Value::as_str).collect::<Vec<_>>();
        texts("programs").into_iter().for_each(|program| self.programs.add(program));
        // What lies where is told as it is now.
        if view.text("of") == Some("credential") {
            self.files.clear();
            view.list("files").iter().for_each(|file| self.lies(file));
            self.files.keys().for_each(|path| self.ways.add(path));
        }
        let others = if view.text("of") == Some("actor") { "credentials" } else { "actors" };
        for (name, known) in [(others, &mut self.others), ("people", &mut self.people)] {
            for one in view.list(name) {
                let time = |name| words::text(one, name).and_then(nanoseconds);
                let (Some(id), Some(first), Some(last)) =
                    (words::text(one, "id"), time("first"), time("last"))
                else {
                    continue;
                };
                known.at(id).into_iter().for_each(|times| times.saw(first, last));
            }
        }
    }

    /// How many runs, as far as anybody counted.
    pub(super) fn runs(&self) -> u64 {
        self.runs_known.max(u64::try_from(self.runs.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn versions(&self) -> u64 {
        self.versions_known.max(u64::try_from(self.versions.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn last_ns(&self) -> Option<i64> {
        self.times.span.map(|(_, last)| last)
    }

    /// How much found no room.
    pub(super) fn not_told(&self) -> u64 {
        let small = [&self.runs, &self.ways, &self.users, &self.programs].map(|some| some.refused);
        let large = [self.others.refused, self.people.refused, self.destinations.refused];
        small.into_iter().chain(large).sum()
    }

    /// Every owner of a file with it is an account of the system, which no person logs in to.
    pub(super) fn is_of_system_user(&self) -> bool {
        const FIRST_PERSON: u32 = 1_000;
        !self.files.is_empty() && self.files.values().all(|place| (1..FIRST_PERSON).contains(&place.owner))
    }
}

fn met(known: &mut Some64<Times>, name: &str, view: &View) {
    if let Some(times) = known.at(name) {
        times.actions += 1;
        times.saw(view.time_ns(), view.time_ns());
    }
}

/// The values of a set, for JSON.
pub(super) fn names(some: &Some64<()>) -> BTreeSet<&str> {
    some.names().collect()
}
