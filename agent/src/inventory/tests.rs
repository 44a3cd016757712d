use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::action::{Action, ActionDeed, ActionId, ConnectOutcome};
use crate::chain::{Acted, CloseReason, Closed, Note, Summary, Ulid};
use crate::event::{Comm, Endpoint, ExitStatus, Facts, ProcessKey, Source, Text};
use crate::lineage::{Cpid, KnownBy, Process, Program};
use crate::names::{NameSource, Named};

const SECOND: u64 = 1_000_000_000;

fn actor(name: &str) -> Arc<Actor> {
    let (id, kind, origin) = match name.split_once(':') {
        Some(("person", user)) => (format!("session:{user}:3"), ActorKind::HumanSession, "login".to_owned()),
        Some(("by", user)) => ("user:svc:/x".to_owned(), ActorKind::SystemUser, format!("human:{user}")),
        _ => (format!("systemd:{name}.service"), ActorKind::SystemdService, "init".to_owned()),
    };
    Arc::new(Actor {
        id,
        kind,
        origin,
        user: "svc".to_owned(),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    })
}

fn credential(id: &str, version: Option<&str>) -> Arc<Credential> {
    Arc::new(Credential {
        id: id.to_owned(),
        kind: "token".to_owned(),
        path: format!("/etc/{id}").into_bytes(),
        version: version.map(str::to_owned),
        ..Credential::default()
    })
}

fn process(exe: &str) -> Arc<Process> {
    let text = |text: &str| Text { bytes: text.as_bytes().to_vec(), truncated: false };
    Arc::new(Process {
        key: ProcessKey { tgid: 7, start_ns: 1 },
        cpid: Cpid::default(),
        ns_tgid: 7,
        pid_ns: 1,
        program: Arc::new(Program { exe: text(exe), ..Program::default() }),
        ids: (0, 0, 0),
        comm: Comm::default(),
        cgroup: Arc::new(text("/")),
        cgroup_id: 1,
        parent: None,
        known_by: KnownBy::Fork,
    })
}

fn facts() -> Facts {
    Facts {
        key: ProcessKey { tgid: 7, start_ns: 1 },
        tid: 7,
        parent: None,
        uid: 0,
        euid: 0,
        gid: 0,
        login_uid: None,
        session: None,
        cgroup_id: 1,
        ns_tgid: 7,
        pid_ns: 1,
        mnt_ns: 1,
        kthread: false,
        comm: Comm::default(),
    }
}

/// An act of somebody who holds these credentials.
fn acts(at_s: u64, who: &str, held: &[&Arc<Credential>], deed: ActionDeed) -> Note {
    Note::Acted(Arc::new(Acted {
        chain: Ulid(1),
        run: Ulid(at_s.into()),
        action: Action {
            id: ActionId(at_s),
            time_ns: at_s * SECOND,
            actor: actor(who),
            process: process("/usr/bin/job"),
            facts: facts(),
            deed,
            seen_by: Source::LsmOpen,
        },
        credentials: held.iter().map(|credential| Arc::clone(credential)).collect(),
        link: None,
        attempt: None,
        judged: None,
        request: None,
        together: None,
    }))
}

const EXIT: ActionDeed = ActionDeed::Exit(ExitStatus::Code(0));

fn connects(last: u8, port: u16, name: Option<(&str, NameSource)>, completes: Option<u64>) -> ActionDeed {
    ActionDeed::Connect {
        to: Endpoint::tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port),
        name: name.map(|(name, source)| Named { name: name.to_owned(), source }),
        from: None,
        outcome: ConnectOutcome::Established,
        took_ns: None,
        completes: completes.map(ActionId),
    }
}

fn found(id: &str, version: &str, mode: u32) -> Found {
    let place = Place { owner: 0, mode, written: Some(5) };
    Found { credential: credential(id, Some(version)), path: format!("/etc/{id}").into_bytes(), place }
}

/// What is told, in words.
fn told(out: &mut Vec<Told>) -> Vec<String> {
    let line = |told: Told| {
        let why: Vec<&str> = told.why.iter().map(|why| why.name()).collect();
        let what = match told.what {
            What::Actor(account) => account.actor.id.clone(),
            What::Credential(holding) => holding.credential.id.clone(),
            What::Host(totals) => format!("host {}+{}", totals.actors, totals.credentials),
        };
        format!("{what} {}", why.join(","))
    };
    out.drain(..).map(line).collect()
}

/// An inventory that has told everything once, so that all that comes is news.
fn settled(limits: Limits) -> Inventory {
    let mut inventory = Inventory::new(Limits { first_ns: 0, ..limits }, 0, 0);
    let mut out = Vec::new();
    inventory.tick(0, &mut out);
    assert_eq!(told(&mut out), ["host 0+0 daily"]);
    inventory
}

#[test]
fn each_change_is_told_once() {
    let mut inventory = settled(Limits::default());
    let mut out = Vec::new();
    let (old, new) = (credential("a", Some("1")), credential("a", Some("2")));
    let mut step = |note: &Note| -> Vec<String> {
        inventory.note(note, &mut out);
        let first = told(&mut out);
        // The same once more is no news, whatever it was.
        inventory.note(note, &mut out);
        assert_eq!(told(&mut out), [""; 0], "{note:?}");
        first
    };
    assert_eq!(
        step(&acts(1, "job", &[&old], EXIT)),
        ["systemd:job.service new", "a new,new-actor"],
        "twins that come together are told together"
    );
    assert_eq!(step(&acts(2, "job", &[&old], EXIT)), [""; 0]);
    assert_eq!(step(&acts(3, "other", &[&old], EXIT)), ["systemd:other.service new", "a new-actor"]);
    assert_eq!(step(&acts(4, "job", &[&new], EXIT)), ["a new-version"]);
    assert_eq!(step(&acts(5, "job", &[&old], EXIT)), [""; 0], "back to what it was is no third version");
    assert_eq!(step(&acts(6, "job", &[&new], connects(9, 443, None, None))), ["a new-destination"]);
    assert_eq!(step(&acts(7, "job", &[&new], connects(9, 80, None, None))), [""; 0], "the same host");
    assert_eq!(step(&acts(8, "job", &[], connects(8, 80, None, None))), [""; 0], "without a credential");
    assert_eq!(step(&acts(9, "person:alice", &[&new], EXIT)), ["a new-person"], "people are no entries");
    assert_eq!(step(&acts(10, "by:alice", &[&new], EXIT)), ["user:svc:/x new", "a new-actor"]);
    assert_eq!(step(&acts(11, "by:bob", &[&new], EXIT)), ["a new-person"]);
    assert_eq!(step(&acts(12, "person:bob", &[], EXIT)), [""; 0], "of people alone nothing is told");
}

#[test]
fn what_lies_here_unused_is_known_until_its_file_is_gone() {
    let mut inventory = settled(Limits::default());
    let mut out = Vec::new();
    inventory.found(&found("a", "1", 0o644), SECOND, &mut out);
    inventory.found(&found("b", "1", 0o600), SECOND, &mut out);
    assert_eq!(told(&mut out), ["a new", "b new"]);
    inventory.found(&found("a", "1", 0o600), SECOND, &mut out);
    assert_eq!(told(&mut out), [""; 0], "another mode is told with the next set");
    inventory.found(&found("a", "2", 0o600), SECOND, &mut out);
    assert_eq!(told(&mut out), ["a new-version"]);
    inventory.note(&acts(2, "job", &[&credential("b", Some("1"))], EXIT), &mut out);
    assert_eq!(told(&mut out), ["systemd:job.service new", "b new-actor"], "used, and known before");
    inventory.tick(90_000 * SECOND, &mut out);
    assert!(out.iter().any(|told| matches!(&told.what, What::Host(totals) if totals.unused == 1)));
    out.clear();
    for id in ["a", "b"] {
        inventory.gone(id, format!("/etc/{id}").as_bytes(), 3 * SECOND, &mut out);
        inventory.gone(id, format!("/etc/{id}").as_bytes(), 3 * SECOND, &mut out);
    }
    assert_eq!(told(&mut out), ["a gone", "b gone"]);
    assert_eq!(inventory.sizes(), (1, 1), "what was used stays");
}

#[test]
fn before_the_first_set_nothing_at_rest_is_news() {
    let mut inventory = Inventory::new(Limits { first_ns: 10 * SECOND, ..Limits::default() }, 0, 0);
    let mut out = Vec::new();
    inventory.tick(SECOND, &mut out);
    inventory.found(&found("a", "1", 0o644), 2 * SECOND, &mut out);
    inventory.tick(10 * SECOND, &mut out);
    assert_eq!(told(&mut out), [""; 0]);
    inventory.tick(11 * SECOND, &mut out);
    assert_eq!(told(&mut out), ["a daily", "host 0+1 daily"]);
}

#[test]
fn all_is_told_once_a_day_and_a_part_at_a_time() {
    let limits = Limits { first_ns: 0, every_ns: 100 * SECOND, at_once: 2, ..Limits::default() };
    let mut inventory = Inventory::new(limits, 0, 0);
    let mut out = Vec::new();
    for id in ["a", "b", "c"] {
        inventory.found(&found(id, "1", 0o600), 0, &mut out);
    }
    let mut at = |second: u64| {
        inventory.tick(second * SECOND, &mut out);
        told(&mut out)
    };
    assert_eq!(at(1), ["a daily", "b daily"]);
    assert_eq!(at(2), ["c daily", "host 0+3 daily"]);
    assert_eq!(at(100), [""; 0]);
    assert_eq!(at(101), ["a daily", "b daily"]);
    assert_eq!(at(301), ["c daily", "host 0+3 daily"], "a set is told to its end");
    assert_eq!(at(302), ["a daily", "b daily"]);
}

#[test]
fn a_name_that_comes_later_takes_the_place_of_its_address() {
    let mut inventory = settled(Limits::default());
    let mut out = Vec::new();
    let held = credential("a", None);
    let tls = Some(("api.example.com", NameSource::Tls));
    inventory.note(&acts(1, "job", &[&held], connects(9, 443, None, None)), &mut out);
    inventory.note(&acts(2, "job", &[&held], connects(8, 443, None, None)), &mut out);
    inventory.note(&acts(3, "job", &[&held], connects(8, 443, None, None)), &mut out);
    out.clear();
    inventory.note(&acts(4, "job", &[&held], connects(9, 443, tls, Some(1))), &mut out);
    inventory.note(&acts(5, "job", &[&held], connects(8, 443, tls, Some(3))), &mut out);
    let Some(What::Credential(holding)) = out.last().map(|told| &told.what) else { panic!("{out:?}") };
    let hosts: Vec<&str> = holding.destinations.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["10.0.0.8", "api.example.com"], "the second connection to .8 had no name");
    assert_eq!(out.len(), 1, "one new host, told once");
}

#[test]
fn what_a_chain_held_beyond_its_records_is_paired_too() {
    let mut inventory = settled(Limits::default());
    let mut out = Vec::new();
    let closed = |folded| {
        Note::Closed(Box::new(Closed {
            chain: Ulid(1),
            run: Ulid(2),
            time_ns: 9 * SECOND,
            since_ns: SECOND,
            actor: actor("job"),
            root: process("/usr/bin/job"),
            reason: CloseReason::RunEnded,
            root_exit: None,
            attempt: None,
            summary: Summary { folded, credentials: vec![credential("a", None)], ..Summary::default() },
        }))
    };
    inventory.note(&closed(0), &mut out);
    assert_eq!(told(&mut out), [""; 0], "all of it was told by its actions");
    inventory.note(&closed(1), &mut out);
    assert_eq!(told(&mut out), ["a new,new-actor"]);
}

#[test]
fn who_acted_longest_ago_is_forgotten_and_counted() {
    let mut inventory = settled(Limits { entries: 2, ..Limits::default() });
    let mut out = Vec::new();
    for (at, who) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        inventory.note(&acts(at, who, &[&credential(who, None)], EXIT), &mut out);
    }
    inventory.found(&found("full", "1", 0o600), 5 * SECOND, &mut out);
    out.clear();
    inventory.tick(90_000 * SECOND, &mut out);
    let Some(What::Host(totals)) = out.last().map(|told| told.what.clone()) else { panic!("{out:?}") };
    assert_eq!((totals.actors_forgotten, totals.credentials_forgotten, totals.files_refused), (1, 1, 1));
    let known =
        ["systemd:a.service daily", "systemd:c.service daily", "a daily", "c daily", "host 2+2 daily"];
    assert_eq!(told(&mut out), known);
}

/// A step of a wild host: who, with what, where to, by which program.
type Step = (u8, u8, u8, Option<u8>, u8);

fn note_of(at: usize, (who, what, version, to, _): Step) -> Note {
    let who = match who % 4 {
        0 => format!("person:p{who}"),
        1 => format!("by:p{who}"),
        _ => format!("s{who}"),
    };
    let held = credential(&format!("c{what}"), Some(&version.to_string()));
    let deed = to.map_or(EXIT, |to| connects(to, 443, None, None));
    acts(u64::try_from(at).unwrap(), &who, &[&held], deed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn nothing_grows_beyond_its_bound(steps in proptest::collection::vec(any::<Step>(), 0..400)) {
        let limits = Limits { entries: 8, each: 3, first_ns: 0, every_ns: 50 * SECOND, at_once: 5 };
        let mut inventory = Inventory::new(limits, 0, 0);
        for (at, step) in steps.iter().enumerate() {
            let mut out = Vec::new();
            let time_ns = u64::try_from(at).unwrap() * SECOND;
            inventory.tick(time_ns, &mut out);
            prop_assert!(out.len() <= 5);
            inventory.note(&note_of(at, *step), &mut out);
            inventory.found(&found(&format!("c{}", step.4), "1", 0o600), time_ns, &mut out);
            let (actors, credentials) = inventory.sizes();
            prop_assert!(actors <= 8 && credentials <= 8);
            for told in &out {
                prop_assert!(!told.why.is_empty());
                let (few, files) = match &told.what {
                    What::Actor(known) => (known.credentials.len().max(known.people.len()).max(known.destinations.len()), 0),
                    What::Credential(known) => (known.actors.len().max(known.people.len()).max(known.destinations.len()), known.files.len()),
                    What::Host(_) => (0, 0),
                };
                prop_assert!(few <= 3 && files <= 16);
            }
        }
    }

    /// Where there is room, whatever happens twice is news once, and the same stream tells the same.
    #[test]
    fn news_is_news_once(steps in proptest::collection::vec(any::<Step>(), 0..200)) {
        let steps: Vec<Step> = steps.into_iter().map(|(a, b, c, d, e)| (a % 16, b % 8, c % 4, d.map(|d| d % 8), e)).collect();
        let run = || {
            let (mut inventory, mut out) = (settled(Limits::default()), Vec::new());
            for (at, step) in steps.iter().enumerate() {
                inventory.note(&note_of(at, *step), &mut out);
            }
            let first = out.len();
            for (at, step) in steps.iter().enumerate() {
                inventory.note(&note_of(at, *step), &mut out);
            }
            (first, out)
        };
        let (first, out) = run();
        prop_assert_eq!(first, out.len(), "nothing of the second round is news");
        let news = |why: Why| out.iter().filter(|told| told.why.contains(&why)).count();
        let different = |of: &dyn Fn(&Step) -> Option<(u8, u8)>| {
            steps.iter().filter_map(of).collect::<std::collections::BTreeSet<_>>().len()
        };
        // A service of each number, and one by whom people act.
        let service = |who: u8| match who % 4 { 0 => None, 1 => Some(255), _ => Some(who) };
        prop_assert_eq!(news(Why::NewActor), different(&|step| Some((service(step.0)?, step.1))));
        prop_assert_eq!(news(Why::NewPerson), different(&|step| (step.0 % 4 < 2).then_some((step.0, step.1))));
        prop_assert_eq!(news(Why::NewDestination), different(&|step| Some((step.1, step.3?))));
        let all_versions = different(&|step| Some((step.1, step.2)));
        let credentials = different(&|step| Some((step.1, 0)));
        prop_assert_eq!(news(Why::NewVersion), all_versions - credentials);
        prop_assert_eq!(run(), (first, out));
    }
}
