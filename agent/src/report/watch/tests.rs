use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::record::testing::{golden, goldens};
use crate::status::testing::full;

/// What the reader of the store does, out of memory.
#[derive(Default)]
struct Played {
    watch: Watch,
    stored: Vec<Vec<u8>>,
}

impl Played {
    fn new() -> Self {
        Played { watch: Watch::new(), stored: Vec::new() }
    }

    /// All goldens, one after the other, numbered as one store numbers them.
    fn all() -> Self {
        let mut played = Self::new();
        let mut seq = 0;
        for record in goldens().into_iter().flat_map(|(_, records)| records) {
            let mut value: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
            seq += 1;
            value["seq"] = seq.into();
            played.record(value.to_string().into_bytes());
        }
        played
    }

    fn of(name: &str) -> Self {
        let mut played = Self::new();
        let (_, records) = goldens().into_iter().find(|(known, _)| *known == name).unwrap();
        records.into_iter().for_each(|record| played.record(record.body));
        played
    }

    fn record(&mut self, body: Vec<u8>) {
        self.watch.record(&body);
        self.stored.push(body);
    }

    fn key(&mut self, key: Key) -> bool {
        match self.watch.key(key) {
            Some(Wish::Chain(id)) => {
                let views = self.stored.iter().map(|body| (View::parse(body), body));
                let of = |view: &View| {
                    let chains = view.list("chains");
                    view.chain() == Some(&id) || chains.iter().any(|chain| chain.as_str() == Some(&id))
                };
                let own =
                    views.filter(|(view, _)| view.as_ref().is_ok_and(of)).map(|(_, body)| body.as_slice());
                self.watch.chain(&id, own);
            }
            Some(Wish::Process(id)) => {
                let name = id.as_bytes();
                let own = self.stored.iter().filter(|body| memchr::memmem::find(body, name).is_some());
                self.watch.process(&id, own.map(Vec::as_slice));
            }
            Some(Wish::Quit) => return true,
            None => {}
        }
        false
    }

    /// Letters, and for what has none: `\n` Enter, `\t` Tab, `\x1b` Escape, and arrows.
    fn keys(mut self, keys: &str) -> Self {
        for letter in keys.chars() {
            let key = match letter {
                '\n' => Key::Enter,
                '\t' => Key::Tab { back: false },
                '\x1b' => Key::Escape,
                '↓' => Key::Down,
                '↑' => Key::Up,
                '→' => Key::Right,
                letter => Key::Letter(letter),
            };
            assert!(!self.key(key), "it was not to end");
        }
        self
    }

    fn drawn(&mut self, width: u16, height: u16, colour: bool) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(&mut self.watch, frame, colour)).unwrap();
        terminal.backend().buffer().clone()
    }

    fn shown(&mut self, width: u16, height: u16) -> String {
        text(&self.drawn(width, height, true))
    }
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = &[ratatui::buffer::Cell]> {
    buffer.content.chunks(buffer.area.width.max(1).into())
}

fn text(buffer: &Buffer) -> String {
    let line = |row: &[ratatui::buffer::Cell]| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", line.trim_end())
    };
    rows(buffer).map(line).collect()
}

/// A letter for how each cell looks, below the line.
fn painted(buffer: &Buffer) -> String {
    let mut out = String::new();
    for (row, line) in rows(buffer).zip(text(buffer).lines()) {
        let look = |cell: &ratatui::buffer::Cell| match (cell.fg, cell.modifier) {
            (_, modifier) if modifier.contains(Modifier::REVERSED) => '#',
            (Color::Red, _) => 'r',
            (Color::Yellow, _) => 'y',
            (Color::Green, _) => 'g',
            (_, modifier) if modifier.contains(Modifier::BOLD) => 'b',
            (_, modifier) if modifier.contains(Modifier::DIM) => 'd',
            _ => ' ',
        };
        let looks: String = row.iter().map(look).collect();
        out.push_str(&format!("{line}\n{}\n", looks.trim_end()));
    }
    out
}

fn screens() -> BTreeMap<String, Vec<u8>> {
    let running = |mut played: Played| {
        let mut status = full();
        status.degraded.clear();
        status.samples.iter_mut().for_each(|sample| sample.dropped = 0);
        played.watch.agent(Answer::Status(&status));
        played
    };
    let degraded = |mut played: Played| {
        played.watch.agent(Answer::Status(&full()));
        played
    };
    let mut stopped = running(Played::of("backup"));
    stopped.watch.agent(Answer::NotRunning);
    let mut paused = running(Played::all()).keys(" ");
    paused.watch.behind(17);
    let growing = {
        // Half a chain, somebody goes to its end, and the rest comes.
        let all = Played::of("backup").stored;
        let mut played = Played::new();
        let (first, rest) = all.split_at(5);
        first.iter().for_each(|body| played.record(body.clone()));
        let mut played = played.keys("\n");
        played.shown(80, 24);
        let mut played = played.keys("G");
        rest.iter().for_each(|body| played.record(body.clone()));
        running(played)
    };
    let mut shown: Vec<(&str, Played, (u16, u16))> = vec![
        ("empty", Played::new(), (80, 24)),
        ("chains", running(Played::all()), (80, 24)),
        ("chains-wide", running(Played::all()), (160, 24)),
        ("chains-narrow", degraded(Played::all()), (40, 10)),
        ("actors", running(Played::all()).keys("\t"), (80, 24)),
        ("credentials", running(Played::all()).keys("\t\t"), (80, 24)),
        ("degraded", degraded(Played::all()), (80, 24)),
        ("stopped", stopped, (80, 24)),
        ("paused", paused, (80, 24)),
        ("filter", running(Played::all()).keys("/actor=shop"), (80, 24)),
        ("outside", running(Played::all()).keys("o"), (80, 24)),
        ("findings", running(Played::all()).keys("f"), (80, 24)),
        ("of-actor", running(Played::all()).keys("\t↓\n"), (80, 24)),
        ("of-credential", running(Played::all()).keys("\t\t\n"), (80, 24)),
        ("chain", running(Played::of("backup")).keys("\n"), (80, 40)),
        ("chain-narrow", running(Played::of("edges")).keys("\n↓↓↓"), (40, 10)),
        ("chain-right", running(Played::of("edges")).keys("\n→→"), (40, 24)),
        ("chain-grows", growing, (80, 24)),
        ("process", running(Played::of("roads")).keys("\np"), (80, 24)),
        ("help", running(Played::all()).keys("?"), (80, 24)),
    ];
    let mut screens: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, played, (width, height)) in &mut shown {
        screens.insert(format!("{name}.txt"), played.shown(*width, *height).into_bytes());
    }
    for (name, colour) in [("colour", true), ("no-colour", false)] {
        let mut played = degraded(Played::all());
        screens.insert(format!("{name}.txt"), painted(&played.drawn(100, 16, colour)).into_bytes());
    }
    screens
}

#[test]
fn screens_are_the_golden_ones() {
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/watch"), &screens());
}

#[test]
fn without_colour_there_is_none_and_no_other_letter() {
    let mut played = Played::all();
    let (with, without) = (played.drawn(80, 24, true), played.drawn(80, 24, false));
    assert_eq!(text(&with), text(&without));
    assert!(with.content.iter().any(|cell| cell.fg != Color::Reset));
    assert!(without.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
}

#[test]
fn a_row_that_is_pointed_at_stays_while_others_move() {
    let action = |seq: u64, chain: &str| {
        format!(
            r#"{{"seq":{seq},"time":"2026-01-02T03:00:{:02}.000000000Z","type":"action","action":"exec","chain":"{chain}",
            "actor":{{"id":"of-{chain}","user":"u"}},"process":{{"id":"p-{chain}","pid":7,"exe":"/bin/{chain}"}}}}"#,
            seq % 60
        )
        .into_bytes()
    };
    let mut played = Played::new();
    for (seq, chain) in ["a", "b", "c"].into_iter().enumerate() {
        played.record(action(u64::try_from(seq).unwrap() + 1, chain));
    }
    // Nothing pointed at: whichever was active last.
    let marked = |played: &mut Played| {
        let text = played.shown(80, 24);
        text.lines().find(|line| line.starts_with("> ")).unwrap().contains("of-b")
    };
    assert!(!marked(&mut played));
    let mut played = played.keys("↓");
    assert!(marked(&mut played));
    for (seq, chain) in [(4, "a"), (5, "d"), (6, "c")] {
        played.record(action(seq, chain));
        assert!(marked(&mut played));
    }
    let mut played = played.keys("\n");
    assert!(played.shown(80, 24).contains("of-b"));
}

#[test]
fn what_is_not_read_is_said() {
    let mut played = Played::of("backup");
    let record = |seq: u64| {
        format!(r#"{{"seq":{seq},"time":"2026-01-02T04:00:00.000000000Z","type":"omen"}}"#).into_bytes()
    };
    let line = |played: &mut Played| played.shown(240, 24).lines().nth(1).unwrap().to_owned();
    assert!(!line(&mut played).contains('!'), "{}", line(&mut played));
    played.record(b"no record".to_vec());
    let last = 1_848;
    played.record(record(last + 3));
    played.watch.skip_to(last + 1_000);
    played.record(record(last + 1_000));
    played.watch.failing(Some("/var/lib/spoor: gone".to_owned()));
    let told = line(&mut played);
    for part in [
        "! 2 records missing in the store",
        "! 1 record unreadable",
        "! 996 records passed over",
        "! /var/lib/spoor: gone",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // An agent that runs writes a record every minute.
    let now = crate::record::nanoseconds("2026-01-02T04:09:30Z").unwrap();
    played.watch.now(now);
    assert!(!line(&mut played).contains("no record for"), "no agent, none due");
    played.watch.agent(Answer::Status(&full()));
    assert!(line(&mut played).contains("! no record for 9 min"), "{}", line(&mut played));
    played.shown(80, 24);
    played.watch.now(now + 1_000_000_000);
    assert!(!played.watch.has_changed(), "a second is nothing to draw for");
    played.watch.agent(Answer::Status(&full()));
    assert!(!played.watch.has_changed(), "nor is the same answer");
}

#[test]
fn what_is_let_go_is_counted() {
    let mut played = Played::new();
    let record = |seq: usize, chain: usize| {
        format!(
            r#"{{"seq":{seq},"time":"2026-01-02T03:00:00.{seq:09}Z","type":"action","action":"exec","chain":"C{chain}",
            "actor":{{"id":"one","user":"u"}},"process":{{"id":"p","pid":7,"exe":"/bin/x"}}}}"#
        )
        .into_bytes()
    };
    for seq in 1..=lists::ROWS_MAX + 5 {
        played.watch.record(&record(seq, seq));
    }
    assert!(played.shown(80, 24).contains("[Chains 2000]  Actors 1   Credentials 0  ! 5 more let go"));
    // One chain, one process, longer than their pages hold.
    let from = lists::ROWS_MAX + 6;
    let mut played = played.keys("\n");
    for seq in from..from + pages::RECORDS_MAX + 50 {
        played.watch.record(&record(seq, lists::ROWS_MAX + 5));
    }
    let text = played.shown(80, 24);
    assert!(text.contains("records in between are not shown"), "{text}");
    let mut played = played.keys("p");
    for seq in from + 2_000..from + 2_000 + pages::RECORDS_MAX + 50 {
        played.watch.record(&record(seq, 1));
    }
    assert!(played.shown(80, 24).contains("! 50 records before these let go"), "{}", played.shown(80, 24));
}

/// Any letters a record may hold, those that a terminal obeys among them.
fn hostile() -> impl Strategy<Value = String> {
    let letter = prop_oneof![
        Just('\u{1b}'),
        Just('\u{9b}'),
        Just('\u{202e}'),
        Just('\u{200b}'),
        Just('\u{301}'),
        Just('\n'),
        Just('\t'),
        Just('字'),
        Just('🦀'),
        Just('a'),
        Just('='),
        any::<char>(),
    ];
    proptest::collection::vec(letter, 0..40).prop_map(|letters| letters.into_iter().collect())
}

fn some_record() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        Just("action"),
        Just("chain"),
        Just("gap"),
        Just("finding"),
        Just("coverage"),
        Just("inventory"),
        Just("heartbeat"),
        Just("omen")
    ];
    let word = prop_oneof![
        Just("opened"),
        Just("closed"),
        Just("exec"),
        Just("connect"),
        Just("secret.open"),
        Just("exit"),
        Just("actor"),
        Just("credential"),
        Just("first")
    ];
    (kind, word, hostile(), 0..6_u64, 0..4_u64, any::<u64>(), any::<bool>()).prop_map(
        |(kind, word, text, chain, process, seq, outside)| {
            let process = serde_json::json!({"id": format!("p{process}"), "pid": seq, "exe": text, "argv": [text, text]});
            let verdict = if outside { "outside" } else { "within" };
            serde_json::json!({
                "seq": seq % 10_000, "time": format!("2026-01-02T03:00:{:02}.000000000Z", seq % 60), "type": kind,
                "action": word, "status": word, "of": word, "told": word, "kind": text, "severity": "high", "reason": text,
                "chain": format!("C{chain}"), "chains": [format!("C{chain}"), text],
                "actor": {"id": text, "user": text}, "process": process, "root": process, "target": process,
                "credential": [{"id": text, "kind": text, "path": text, "identifiers": {"a": text}}],
                "destination": {"ip": text, "port": seq, "name": text}, "file": {"path": text}, "exit": {"signal": seq},
                "purpose": {"verdict": verdict, "name": text, "reason": text}, "link": {"of": [seq % 10_000], "basis": text},
                "gaps": [text], "signals": [{"signal": text}], "counts": {"x": seq}, "host": {"name": text}, "outcome": text,
                "summary": {"destinations": [{"ip": text, "port": 1, "attempts": seq, "established": 0}], "gaps": [text]},
            })
            .to_string()
            .into_bytes()
        },
    )
}

fn some_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        prop_oneof![
            Just('o'),
            Just('f'),
            Just('p'),
            Just('/'),
            Just(' '),
            Just('?'),
            Just('g'),
            Just('G'),
            Just('j'),
            Just('k'),
            Just('q')
        ]
        .prop_map(Key::Letter),
        any::<char>().prop_map(Key::Letter),
        Just(Key::Enter),
        Just(Key::Escape),
        any::<bool>().prop_map(|back| Key::Tab { back }),
        Just(Key::Up),
        Just(Key::Down),
        Just(Key::Left),
        Just(Key::Right),
        Just(Key::PageUp),
        Just(Key::PageDown),
        Just(Key::Home),
        Just(Key::End),
        Just(Key::Erase),
    ]
}

#[derive(Clone, Debug)]
enum Turn {
    Record(Vec<u8>),
    Key(Key),
    Size(u16, u16),
    Bytes(Vec<u8>),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => some_record().prop_map(Turn::Record),
        4 => some_key().prop_map(Turn::Key),
        1 => (0..90_u16, 0..40_u16).prop_map(|(width, height)| Turn::Size(width, height)),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Turn::Bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever comes and whatever is typed: nothing panics, nothing a terminal obeys is in a cell, and bounds hold.
    #[test]
    fn any_keys_on_any_records_are_drawn(turns in proptest::collection::vec(turn(), 0..60)) {
        let mut played = Played::new();
        let (mut width, mut height) = (80, 24);
        for turn in turns {
            match turn {
                Turn::Record(body) | Turn::Bytes(body) => played.record(body),
                Turn::Key(key) => {
                    played.key(key);
                }
                Turn::Size(wide, high) => (width, height) = (wide, high),
            }
            let buffer = played.drawn(width, height, true);
            for cell in &buffer.content {
                let obeyed = |letter: char| letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter);
                prop_assert!(!cell.symbol().chars().any(obeyed), "{:?}", cell.symbol());
            }
            prop_assert!(played.watch.pages.len() <= PAGES_MAX);
            prop_assert!(played.watch.filter.line.chars().count() <= filter::LINE_MAX);
            prop_assert!(!played.watch.has_changed());
        }
    }
}
