//! What a process does again and again is told together, and nothing is lost by it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::roads::hello;
use super::{AWS, BACKUP, MS, REFUSED, SECOND, Scenario};
use crate::action::{ActionDeed, ActionId};
use crate::chain::{Acted, FAIR, Limits, Note, STRONG};
use crate::event::{Deed, Endpoint, ProcessKey, SampleId, SendOutcome, Transport};
use crate::pipeline::scenario::Played;
use spoor_wire::Source;

const WEB: (&str, u16) = ("10.0.0.1", 80);

fn reach(story: &mut Scenario, by: ProcessKey, (to, port): (&str, u16), own: u16) -> SampleId {
    let of = story.connect(by, to, port);
    let from = Some(("10.0.0.2".parse().unwrap(), own));
    story.deed(by, Source::TpState, Deed::ConnectEnd { of, outcome: Ok(()), from });
    of
}

fn accept(story: &mut Scenario, by: ProcessKey, port: u16) -> SampleId {
    let (client, own): (IpAddr, IpAddr) = ("10.0.0.7".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let deed = Deed::Accept { from: (client, port), at: (own, 443), transport: Transport::TCP };
    story.deed(by, Source::LsmAccept, deed)
}

fn acts(played: &Played) -> Vec<&Acted> {
    fn acted(note: &Note) -> Option<&Acted> {
        if let Note::Acted(acted) = note { Some(acted) } else { None }
    }
    played.notes.iter().filter_map(acted).collect()
}

fn lines(played: &Played) -> Vec<String> {
    let lines = played.lines().into_iter().filter(|line| line.starts_with("A 2"));
    lines.filter_map(|line| Some(line.strip_prefix("A ")?.to_owned())).collect()
}

#[test]
fn a_few_are_told_by_themselves_and_the_others_in_one() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    for own in 0..10 {
        reach(&mut story, job, WEB, 40_000 + own);
    }
    let began = story.now_ns;
    story.wait(SECOND);
    story.tick();
    let played = story.play();
    let alone = "200 connect 10.0.0.1:80 established";
    assert_eq!(lines(&played), [alone, alone, alone, alone, "200 connect 10.0.0.1:80 established x6"]);
    let together = acts(&played)[4].together.as_ref().unwrap();
    assert_eq!(together.ports, (40_004..40_010).collect::<Vec<_>>());
    assert_eq!(together.ids, (5..11).map(ActionId).collect::<Vec<_>>());
    assert_eq!(acts(&played)[4].action.id, ActionId(10), "it is the last of them");
    assert!(together.since_ns < acts(&played)[4].action.time_ns && acts(&played)[4].action.time_ns < began);
    assert_eq!((played.counter("actions_chained"), played.counter("actions_together")), (10, 5));

    story.exit(job, 0);
    let played = story.play();
    let Some(Note::Closed(closed)) = played.notes.last() else { panic!("it is over") };
    assert_eq!((closed.summary.actions, closed.summary.folded), (11, 0));
    let reached = &closed.summary.destinations[0];
    assert_eq!((reached.attempts, reached.established), (10, 10));
}

#[test]
fn each_moment_has_its_own() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    for own in 0..6 {
        reach(&mut story, job, WEB, own);
    }
    // Whoever connects so seldom is told each time, and at once.
    story.wait(SECOND);
    for own in 0..20 {
        reach(&mut story, job, WEB, own);
        story.wait(300 * MS);
    }
    let played = story.play();
    let several: Vec<u64> = acts(&played).iter().map(|acted| acted.count()).collect();
    assert_eq!(several, [&[1, 1, 1, 1, 2][..], &[1; 20]].concat());
}

#[test]
fn what_is_another_is_told_by_itself_and_at_once() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let other = story.run(shell, 201, BACKUP, "/usr/bin/other");
    let crowd = |story: &mut Scenario| {
        for own in 0..8 {
            reach(story, job, WEB, own);
        }
    };
    crowd(&mut story);
    reach(&mut story, job, ("10.0.0.1", 81), 9);
    crowd(&mut story);
    reach(&mut story, job, ("10.0.0.3", 80), 9);
    crowd(&mut story);
    let refused = story.connect(job, WEB.0, WEB.1);
    story.end(refused, REFUSED);
    crowd(&mut story);
    story.become_user(job, 0);
    crowd(&mut story);
    reach(&mut story, other, WEB, 9);
    story.open(job, AWS);
    crowd(&mut story);
    story.exec(job, "/usr/bin/evil");
    crowd(&mut story);
    let played = story.play();
    let told: Vec<_> = acts(&played).into_iter().filter(|acted| acted.action.process.key == job).collect();
    // Behind each that is new, those of the crowd that waited are told before it, never after.
    let mut last = 0;
    for acted in &told {
        assert!(acted.action.id.0 > last, "{acted:?}");
        last = acted.action.id.0;
    }
    let alone = |port, to: &str| {
        let to = Endpoint::tcp(to.parse().unwrap(), port);
        let there = told.iter().filter(
            move |acted| matches!(&acted.action.deed, ActionDeed::Connect { to: there, .. } if *there == to),
        );
        there.map(|acted| acted.count()).collect::<Vec<_>>()
    };
    assert_eq!((alone(81, "10.0.0.1"), alone(80, "10.0.0.3")), (vec![1], vec![1]));
    let crowds: u64 = alone(80, "10.0.0.1").iter().sum();
    let untold =
        played.stages.machine.counts().chained - acts(&played).iter().map(|acted| acted.count()).sum::<u64>();
    assert_eq!(crowds + untold, 7 * 8 + 1, "all of the crowds, and one that was refused");
    // As another user, with a credential and as another program it is not as before: four of each are told by themselves.
    let singles = alone(80, "10.0.0.1").into_iter().filter(|count| *count == 1).count();
    assert!(singles > 4 * 4, "{:?}", alone(80, "10.0.0.1"));
}

#[test]
fn what_was_done_for_an_accepted_connection_names_it() {
    let (mut story, shell) = Scenario::begin();
    let server = story.run(shell, 200, BACKUP, "/usr/bin/server");
    let mut accepted = Vec::new();
    for port in 0..12 {
        let of = accept(&mut story, server, 50_000 + port);
        if port >= 8 {
            // From here on each has an effect.
            story.exec(server, "/usr/bin/server");
            story.open(server, AWS);
        }
        story.deed(server, Source::TpState, Deed::AcceptEnd { of });
        accepted.push(of);
    }
    let played = story.play();
    let told = acts(&played);
    let stands_for = |id: ActionId| {
        told.iter().position(|acted| {
            acted.action.id == id
                || acted.together.as_ref().is_some_and(|together| together.ids.contains(&id))
        })
    };
    let several: Vec<_> = told.iter().filter_map(|acted| acted.together.as_ref()).collect();
    assert_eq!(several.len(), 1, "of the first four each is alone, and so is who is named");
    assert_eq!(several[0].ports, (50_004..50_008).collect::<Vec<_>>());
    let mut requests = 0;
    for (at, acted) in told.iter().enumerate() {
        let Some(request) = acted.request else { continue };
        let named = stands_for(request).unwrap();
        assert!(named < at, "the connection is told before what was done for it");
        let ActionDeed::Accept { from, .. } = told[named].action.deed else { panic!() };
        let count = told[named].count();
        requests += usize::from(count == 1);
        assert!(from.1 >= 50_008 && count == 1, "{acted:?}");
    }
    assert_eq!(requests, 2 * 4, "each has a record, and those that waited before it have one for all");
    assert_eq!(
        accepted.len(),
        told.iter()
            .filter(|acted| matches!(acted.action.deed, ActionDeed::Accept { .. }))
            .map(|acted| usize::try_from(acted.count()).unwrap())
            .sum::<usize>()
    );
}

#[test]
fn no_record_tells_of_more_than_it_may() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    for round in 0..3_000_u16 {
        reach(&mut story, job, WEB, round);
        // All within a moment.
        story.now_ns -= 2 * MS - 1_000;
    }
    story.exit(job, 0);
    let played = story.play();
    let several: Vec<u64> = acts(&played).iter().map(|acted| acted.count()).collect();
    assert_eq!(several, [1, 1, 1, 1, 1_024, 1_024, 948, 1]);
}

#[test]
fn a_name_that_is_known_is_not_told_again_and_another_is() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    for own in 0..12 {
        let of = reach(&mut story, job, ("10.0.0.1", 443), own);
        let name = if own == 9 { "other.example" } else { "api.example" };
        story.deed(job, Source::SkbHello, Deed::Hello { of, bytes: hello(name) });
    }
    story.exit(job, 0);
    let played = story.play();
    let first = "200 connect 10.0.0.1:443 established";
    let named = "200 connect 10.0.0.1:443 api.example by tls established at last";
    let expected = [
        &[first, named].repeat(4)[..],
        &[
            "200 connect 10.0.0.1:443 established x5",
            "200 connect 10.0.0.1:443 established",
            "200 connect 10.0.0.1:443 other.example by tls established at last",
            // What the destination is called is known as the last that was said.
            "200 connect 10.0.0.1:443 established",
            named,
            "200 connect 10.0.0.1:443 established",
            "200 exit Code(0)",
        ],
    ];
    assert_eq!(lines(&played), expected.concat());
    let completed = acts(&played)[10];
    let ActionDeed::Connect { completes: Some(id), .. } = completed.action.deed else { panic!() };
    assert_eq!(acts(&played)[9].action.id, id);
}

/// As if nothing told it from others like it: what may differ within one record is left out.
fn bare(acted: &Acted) -> Acted {
    let mut bare = acted.clone();
    let class = |worth: u8| u8::from(worth >= FAIR) + u8::from(worth >= STRONG);
    bare.together = None;
    (bare.action.id, bare.action.time_ns, bare.action.facts.tid) = (ActionId(0), 0, 0);
    if let ActionDeed::Connect { from, took_ns, .. } = &mut bare.action.deed {
        *took_ns = None;
        from.iter_mut().for_each(|from| from.1 = 0);
    }
    if let ActionDeed::Accept { from, .. } = &mut bare.action.deed {
        from.1 = 0;
    }
    if let Some(link) = &mut bare.link {
        (link.delay_ns, link.confidence) = (0, class(link.confidence));
        link.each.iter_mut().for_each(|(_, worth)| *worth = class(*worth));
    }
    bare
}

fn port(acted: &Acted) -> Option<u16> {
    if let ActionDeed::Accept { from, .. } = acted.action.deed {
        return Some(from.1);
    }
    let ActionDeed::Connect { from, .. } = acted.action.deed else { return None };
    from.map(|from| from.1)
}

fn story(steps: &[(u8, u8, u8)]) -> Scenario {
    let (mut story, shell) = Scenario::begin();
    let mut live: Vec<ProcessKey> = vec![story.run(shell, 150, BACKUP, "/usr/bin/job")];
    let mut served = Vec::new();
    for (at, (what, who, more)) in steps.iter().enumerate() {
        let who = live[usize::from(*who) % live.len()];
        let own = u16::try_from(at).unwrap();
        match what % 16 {
            0 => live.push(story.fork(who, 200 + u32::from(*more % 4))),
            1 => story.open(who, AWS),
            2 => story.exec(who, "/usr/bin/x"),
            3 if *more > 200 => story.exit(who, 0),
            4 => story.wait(u64::from(*more) * 20 * MS),
            5 if *more > 200 => story.become_user(who, 0),
            6 => {
                let of = story.connect(who, "10.0.0.9", 443);
                story.end(of, if more % 2 == 0 { Ok(()) } else { REFUSED });
            }
            7 => {
                let to =
                    Endpoint::Inet { ip: "10.0.0.5".parse().unwrap(), port: 514, transport: Transport::UDP };
                let outcome = if more % 5 == 0 { SendOutcome::Failed(111) } else { SendOutcome::Sent };
                story.deed(who, Source::FexitSend, Deed::Send { to, outcome });
            }
            8 => served.push((who, accept(&mut story, who, own))),
            9 => {
                for (who, of) in served.drain(..) {
                    story.deed(who, Source::TpState, Deed::AcceptEnd { of });
                }
            }
            10 => story.tick(),
            _ => {
                for _ in 0..=more % 8 {
                    reach(&mut story, who, ("10.0.0.1", 80 + u16::from(more % 2)), own);
                }
            }
        }
    }
    story.wait(2 * SECOND);
    story.tick();
    story
}

proptest! {
    #[test]
    fn together_they_say_what_each_would_say(
        steps in proptest::collection::vec((any::<u8>(), 0_u8..3, any::<u8>()), 0..120),
        alone in 1_u32..5,
    ) {
        let story = story(&steps);
        let ends = |alone| {
            let mut played = story.play_with(Limits { alone, ..Limits::default() }, 10_000);
            played.stages.stop(story.now_ns + 1, &mut played.notes);
            played
        };
        let (each, few) = (ends(u32::MAX), ends(alone));
        prop_assert!(acts(&each).iter().all(|acted| acted.together.is_none()));
        let by_id: BTreeMap<ActionId, &Acted> =
            acts(&each).into_iter().map(|acted| (acted.action.id, acted)).collect();
        let mut told = BTreeMap::new();
        for acted in acts(&few) {
            let ids = acted.together.as_ref().map_or(vec![acted.action.id], |together| together.ids.clone());
            let ports: Vec<Option<u16>> = ids.iter().map(|id| port(by_id[id])).collect();
            let known: Vec<u16> = ports.iter().copied().flatten().collect();
            match &acted.together {
                Some(together) => {
                    prop_assert_eq!(&together.ports, &known);
                    prop_assert_eq!(together.since_ns, by_id[&ids[0]].action.time_ns);
                }
                None => prop_assert_eq!(port(acted), ports[0]),
            }
            for id in ids {
                prop_assert_eq!(bare(by_id[&id]), bare(acted));
                prop_assert!(told.insert(id, ()).is_none(), "told twice: {:?}", id);
            }
        }
        prop_assert!(told.keys().eq(by_id.keys()));
        // What is not told together is in the same order, and so is what chains say of themselves.
        let rest = |played: &Played| -> Vec<Note> {
            let notes = played.notes.iter().filter(|note| !matches!(note, Note::Acted(_)));
            notes.cloned().collect()
        };
        prop_assert_eq!(rest(&each), rest(&few));
        // Of one process nothing is told before what it did earlier, but for what was waited for.
        prop_assert_eq!(
            each.stages.machine.counts().chained,
            acts(&few).iter().map(|acted| acted.count()).sum::<u64>()
        );
    }
}
