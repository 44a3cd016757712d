//! The table under everything that can be told to it.

use proptest::prelude::*;

use super::{Held, KnownBy, Limits, Slot, Table};
use crate::event::{
    Deed, Event, ExitStatus, Facts, Marks, ProcessKey, SampleId, Seeded, Seen, Source, Text, What,
};

const TICK: u64 = ProcessKey::PROC_TICK_NS;

fn key(tgid: u32, start_ns: u64) -> ProcessKey {
    ProcessKey { tgid, start_ns }
}

fn facts(key: ProcessKey, parent: Option<ProcessKey>) -> Facts {
    Facts {
        key,
        tid: key.tgid,
        parent,
        uid: 0,
        euid: 0,
        gid: 0,
        login_uid: None,
        session: None,
        cgroup_id: 1,
        ns_tgid: key.tgid,
        pid_ns: 4,
        mnt_ns: 5,
        kthread: false,
        comm: b"x"[..].into(),
    }
}

fn seen(facts: Facts, deed: Deed) -> Event {
    let seen = Seen {
        id: SampleId { cpu: 0, seq: 1 },
        source: Source::TpFork,
        marks: Marks(0),
        process: facts,
        deed,
    };
    Event { time_ns: 0, what: What::Seen(Box::new(seen)) }
}

fn fork(maker: ProcessKey, child: ProcessKey, parent: ProcessKey, cgroup_id: u64) -> Event {
    let deed = Deed::Fork { child, parent, cgroup_id, ns_tgid: 7, pid_ns: 4, marks: Marks(0) };
    seen(facts(maker, None), deed)
}

fn text(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: false }
}

fn exec(facts: Facts, exe: &str, cgroup: &str) -> Event {
    let deed = Deed::Exec {
        exe: text(exe),
        filename: text(exe),
        dev: 1,
        ino: 1,
        argv: vec![exe.as_bytes().to_vec()],
        argv_truncated: false,
        cgroup: text(cgroup),
        nameless: false,
    };
    seen(facts, deed)
}

fn exit(key: ProcessKey) -> Event {
    seen(facts(key, None), Deed::Exit(ExitStatus::Code(0)))
}

fn row(key: ProcessKey, parent: Option<ProcessKey>, exe: &str) -> Event {
    let seeded = Seeded {
        again: false,
        process: facts(key, parent),
        exe: text(exe),
        argv: Vec::new(),
        cgroup: text("/a"),
        open: Vec::new(),
    };
    Event { time_ns: 0, what: What::Seeded(Box::new(seeded)) }
}

fn table(processes_max: usize) -> Table {
    Table::new(Limits { processes_max }, [1; 16])
}

#[test]
fn a_rounded_row_becomes_exact() {
    let mut table = table(10);
    table.apply(&row(key(5, 3 * TICK), None, "/usr/bin/a"));
    let exact = key(5, 3 * TICK + 17);
    let applied = table.apply(&seen(facts(exact, None), Deed::Exit(ExitStatus::Code(1))));
    let process = applied.process.unwrap();
    assert_eq!((process.key, process.known_by), (exact, KnownBy::Proc));
    assert_eq!(process.program.exe, text("/usr/bin/a"));
    assert!(table.is_empty());
    // The row of `/proc` that was read before, and an exit told twice.
    assert!(table.apply(&row(key(5, 3 * TICK), None, "/usr/bin/a")).process.is_none());
    assert!(table.apply(&exit(exact)).late);
    assert!(table.is_empty());
}

#[test]
fn a_number_used_again_within_a_tick_is_another_process() {
    let maker = key(2, TICK);
    let (former, latter) = (key(5, 3 * TICK + 100), key(5, 3 * TICK + 4_000_000));
    let (orphan, own) = (key(6, 3 * TICK + 200), key(7, 3 * TICK + 5_000_000));
    for exit_is_seen in [true, false] {
        let mut table = table(10);
        table.apply(&row(maker, None, "/usr/bin/maker"));
        table.apply(&fork(maker, former, maker, 1));
        table.apply(&exec(facts(former, None), "/usr/bin/former", "/a"));
        table.apply(&fork(former, orphan, former, 1));
        if exit_is_seen {
            table.apply(&exit(former));
        }
        let applied = table.apply(&fork(maker, latter, maker, 1));
        assert_eq!(
            applied.child.unwrap().program.exe,
            text("/usr/bin/maker"),
            "nothing of the former is left"
        );
        assert_eq!(applied.replaced, if exit_is_seen { vec![] } else { vec![former] });
        assert_eq!(applied.gone, [former]);
        let applied = table.apply(&exec(facts(latter, None), "/usr/bin/latter", "/a"));
        assert!(!applied.late);
        table.apply(&fork(latter, own, latter, 1));
        let below: Vec<u32> = table.children(latter).iter().map(|process| process.key.tgid).collect();
        assert_eq!(below, [7], "whom the former made is not the latter's");
        assert!(table.ancestry(orphan).is_empty());
        // What is told of the former too late, and a row of either.
        assert!(table.apply(&exec(facts(former, None), "/usr/bin/other", "/a")).late);
        assert!(table.apply(&exit(former)).late);
        table.apply(&row(key(5, 3 * TICK), None, "/usr/bin/other"));
        assert_eq!(table.get(latter).unwrap().program.exe, text("/usr/bin/latter"));
        assert_eq!(table.get(latter).unwrap().key, latter);
        table.apply(&exit(own));
        let applied = table.apply(&exit(latter));
        assert_eq!((applied.late, applied.gone), (false, vec![latter]));
        assert!(table.apply(&exit(latter)).late && table.apply(&exit(former)).late);
        table.apply(&exit(orphan));
        assert_eq!(table.len(), 1, "the maker");
    }
}

/// Its making was lost, too: it acts.
#[test]
fn one_that_acts_under_a_number_of_that_tick_is_another_process() {
    let mut table = table(10);
    let (former, latter) = (key(5, 3 * TICK + 100), key(5, 3 * TICK + 4_000_000));
    table.apply(&exec(facts(former, None), "/usr/bin/former", "/a"));
    let applied = table.apply(&exec(facts(latter, None), "/usr/bin/latter", "/a"));
    assert_eq!((applied.replaced, applied.gone), (vec![former], vec![former]));
    let process = applied.process.unwrap();
    assert_eq!((process.key, process.known_by), (latter, KnownBy::Act));
    // Which of two it was is not known of one whose start is told in ticks.
    table.apply(&exit(latter));
    assert!(table.apply(&row(key(5, 3 * TICK), None, "/usr/bin/other")).process.is_none());
}

#[test]
fn a_row_does_not_undo_what_was_seen() {
    let mut table = table(10);
    let (maker, child) = (key(2, TICK), key(5, 3 * TICK + 1));
    table.apply(&row(maker, None, "/usr/bin/maker"));
    table.apply(&fork(maker, child, maker, 1));
    table.apply(&exec(facts(child, None), "/usr/bin/new", "/b"));
    table.apply(&row(key(5, 3 * TICK), Some(maker), "/usr/bin/old"));
    let process = table.get(child).unwrap();
    assert_eq!((process.program.exe.clone(), process.known_by), (text("/usr/bin/new"), KnownBy::Fork));
    // Nor does a fork that is told after the row.
    let late = key(6, 3 * TICK + 2);
    table.apply(&row(key(6, 3 * TICK), Some(maker), "/usr/bin/second"));
    table.apply(&fork(maker, late, maker, 1));
    let process = table.get(late).unwrap();
    assert_eq!((process.key, process.known_by), (late, KnownBy::Fork));
    assert_eq!(process.program.exe, text("/usr/bin/second"));
}

#[test]
fn parent_and_maker_may_differ() {
    let mut table = table(10);
    let (parent, maker, child) = (key(1, TICK), key(2, 2 * TICK), key(3, 3 * TICK));
    table.apply(&row(parent, None, "/usr/bin/parent"));
    table.apply(&row(maker, Some(parent), "/usr/bin/maker"));
    let applied = table.apply(&fork(maker, child, parent, 9));
    let child = applied.child.unwrap();
    assert_eq!(child.program.exe, text("/usr/bin/maker"));
    assert_eq!(*child.cgroup, Text::default(), "another cgroup, whose path nobody told");
    let up: Vec<u32> = table.ancestry(child.key).iter().map(|process| process.key.tgid).collect();
    assert_eq!(up, [1]);
    let below: Vec<u32> = table.children(parent).iter().map(|process| process.key.tgid).collect();
    assert_eq!(below, [2, 3]);
}

#[test]
fn forebears_stay_while_they_have_descendants() {
    let mut table = table(10);
    let keys: Vec<ProcessKey> = (1..5).map(|number| key(number, u64::from(number) * TICK)).collect();
    table.apply(&row(keys[0], None, "/usr/bin/a"));
    for pair in keys.windows(2) {
        table.apply(&fork(pair[0], pair[1], pair[0], 1));
    }
    table.apply(&exit(keys[1]));
    table.apply(&exit(keys[2]));
    assert_eq!(table.ancestry(keys[3]).len(), 3);
    assert_eq!(table.exit_of(keys[1]), Some(ExitStatus::Code(0)));
    let gone = table.apply(&exit(keys[3])).gone;
    assert_eq!(gone, [keys[3], keys[2], keys[1]]);
    assert_eq!(table.len(), 1);
}

#[test]
fn the_dead_go_before_the_living() {
    let mut table = table(4);
    let keys: Vec<ProcessKey> = (1..7).map(|number| key(number, u64::from(number) * TICK)).collect();
    table.apply(&row(keys[0], None, "/usr/bin/a"));
    table.apply(&fork(keys[0], keys[1], keys[0], 1));
    table.apply(&fork(keys[1], keys[2], keys[1], 1));
    table.apply(&exit(keys[1]));
    table.apply(&fork(keys[0], keys[3], keys[0], 1));
    let applied = table.apply(&fork(keys[0], keys[4], keys[0], 1));
    assert_eq!((applied.gone, applied.evicted), (vec![keys[1]], vec![]));
    let applied = table.apply(&fork(keys[0], keys[5], keys[0], 1));
    assert_eq!(applied.evicted, [keys[2]], "not the parent, though it is older");
    assert!(table.get(keys[0]).is_some());
}

#[test]
fn who_holds_a_credential_goes_last() {
    let mut table = table(8);
    let keys: Vec<ProcessKey> = (1..12).map(|number| key(number, u64::from(number) * TICK)).collect();
    table.apply(&row(keys[0], None, "/usr/bin/a"));
    (1..8).for_each(|at| drop(table.apply(&fork(keys[0], keys[at], keys[0], 1))));
    table.keep(keys[1], Held::Own);
    table.keep(keys[2], Held::Inherited);
    table.keep(keys[3], Held::Inherited);
    table.keep(keys[4], Held::Inherited);
    // A quarter is kept of each kind: the third that inherited is as good as any.
    let evicted = |table: &mut Table, at: usize| table.apply(&fork(keys[0], keys[at], keys[0], 1)).evicted;
    assert_eq!(evicted(&mut table, 8), [keys[4]]);
    // Who comes by one himself leaves room among those that inherited, and who ends in both.
    table.keep(keys[3], Held::Own);
    table.apply(&exit(keys[2]));
    table.keep(keys[5], Held::Inherited);
    assert_eq!(evicted(&mut table, 9), []);
    assert_eq!(evicted(&mut table, 10), [keys[6]]);
    // What was given up is known again as such, and as nothing else.
    table.apply(&exit(keys[7]));
    table.apply(&exec(facts(keys[4], None), "/usr/bin/late", "/a"));
    assert_eq!(table.get(keys[4]).unwrap().known_by, KnownBy::Again);
}

#[test]
fn a_cgroup_told_once_is_known_to_those_moved_there() {
    let mut table = table(10);
    let mut moved = facts(key(5, TICK), None);
    moved.cgroup_id = 8;
    table.apply(&exec(moved, "/usr/bin/a", "/system.slice/a.service"));
    table.apply(&row(key(6, TICK), None, "/usr/bin/b"));
    let mut other = facts(key(6, TICK + 1), None);
    other.cgroup_id = 8;
    let process = table.apply(&seen(other, Deed::Exit(ExitStatus::Code(0)))).process.unwrap();
    assert_eq!(*process.cgroup, text("/system.slice/a.service"));
}

fn any_key() -> impl Strategy<Value = ProcessKey> {
    (0_u32..6, 0_u64..4, 0_u64..2).prop_map(|(tgid, tick, rest)| key(tgid, tick * TICK + rest))
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (any_key(), any_key(), any_key(), 0_u64..3).prop_map(|(maker, child, parent, cgroup)| fork(maker, child, parent, cgroup)),
        1 => (any_key(), proptest::option::of(any_key())).prop_map(|(key, parent)| exec(facts(key, parent), "/usr/bin/x", "/c")),
        2 => any_key().prop_map(exit),
        1 => (any_key(), proptest::option::of(any_key())).prop_map(|(key, parent)| row(key, parent, "/usr/bin/y")),
    ]
}

proptest! {
    #[test]
    fn nothing_that_is_told_breaks_it(events in proptest::collection::vec(any_event(), 0..200), most in 2_usize..8) {
        let mut table = table(most);
        let mut known = std::collections::BTreeSet::new();
        for event in &events {
            let applied = table.apply(event);
            prop_assert!(table.len() <= most);
            prop_assert!(table.fill().iter().all(|(_, size, most)| size <= most), "{:?}", table.fill());
            if let What::Seen(seen) = &event.what {
                // Every one that acts holds something: what is spared is bounded, too.
                table.keep(seen.process.key, if seen.process.key.tgid % 2 == 0 { Held::Own } else { Held::Inherited });
                known.insert(Slot::from(seen.process.key));
                if let Deed::Fork { child, .. } = seen.deed {
                    known.insert(Slot::from(child));
                }
            }
            for evicted in &applied.evicted {
                prop_assert!(applied.gone.contains(evicted));
            }
            for slot in &known {
                let up = table.ancestry(key(slot.tgid, slot.tick * TICK));
                let mut slots: Vec<Slot> = up.iter().map(|process| process.key.into()).collect();
                prop_assert!(!slots.contains(slot), "its own forebear");
                slots.sort();
                slots.dedup();
                prop_assert_eq!(slots.len(), up.len(), "the same forebear twice");
            }
        }
    }
}
