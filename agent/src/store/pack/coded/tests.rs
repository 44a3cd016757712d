//! Records come back as they were, whatever they are; and what are none is refused.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::{condense, pack as deflate, unpack};
use super::*;
use crate::record::{process_id, stamp};

/// Records that follow each other from the first on.
fn follow(bodies: impl IntoIterator<Item = Vec<u8>>) -> Vec<(Mark, Vec<u8>)> {
    let mut last = Mark::NONE;
    let each = bodies.into_iter().map(|body| {
        let body = stamp(&body, &last.hash);
        last = last.then(last.seq + 1, &body);
        (last, body)
    });
    each.collect()
}

fn borrowed(records: &[(Mark, Vec<u8>)]) -> Vec<(Mark, &[u8])> {
    records.iter().map(|(mark, body)| (*mark, body.as_slice())).collect()
}

/// Codes them, and holds what is read again against them.
fn coded(bodies: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let records = follow(bodies);
    let bytes = pack(Mark::NONE, &borrowed(&records)).unwrap();
    let again = unpack(Mark::NONE, &bytes).unwrap();
    assert!(again.records().map(|record| (record.mark, record.body)).eq(borrowed(&records)));
    bytes
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/packs")).join(name)
}

/// What was packed once is read for ever. `BLESS=1` makes these files where there are none; those that are there stay.
#[test]
fn packs_of_before_are_read() {
    let read = |name: &str| fs::read(golden(name)).unwrap();
    if std::env::var_os("BLESS").is_some_and(|value| value == "1") && !golden("coded").exists() {
        let of = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/records"));
        let mut files: Vec<PathBuf> = fs::read_dir(of).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let lines = files.iter().flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().filter(|line| line.starts_with('{')).map(str::to_owned).collect::<Vec<_>>()
        });
        let odd = ["{\"v\": 1}", "no JSON", "", "{\"id\":\"=\"}"].map(str::to_owned);
        let lines: Vec<String> = lines.chain(odd).collect();
        let records = follow(lines.iter().map(|line| line.clone().into_bytes()));
        let records = borrowed(&records);
        fs::write(golden("records.jsonl"), lines.join("\n")).unwrap();
        fs::write(golden("deflated"), deflate(Mark::NONE, &records).unwrap()).unwrap();
        fs::write(golden("coded"), pack(Mark::NONE, &records).unwrap()).unwrap();
    }
    let lines = read("records.jsonl");
    let records = follow(lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
    assert!(records.len() > 100, "{}", records.len());
    for name in ["deflated", "coded"] {
        let again = unpack(Mark::NONE, &read(name)).unwrap();
        assert!(again.records().map(|record| (record.mark, record.body)).eq(borrowed(&records)), "{name}");
    }
    // Made of the same records, it is the same: else there is another version.
    assert!(pack(Mark::NONE, &borrowed(&records)).unwrap() == read("coded"));
    assert!(read("coded").len() < read("deflated").len());
}

#[test]
fn records_that_are_alike_take_a_few_bytes() {
    let record = |number: u32| {
        let (pid, start_ns) = (1_000 + number, 1_000_000_000 * u64::from(number));
        let id = process_id([7; 16], start_ns, pid);
        format!(
            r#"{{"v":1,"seq":{number},"time":"2026-01-02T00:00:{:02}.{:09}Z","host":{{"boot_id":"07070707-0707-0707-0707-070707070707"}},"process":{{"id":"{id}","pid":{pid},"start_ns":{start_ns},"exe":"/usr/bin/backup","argv":["backup","--all"]}}}}"#,
            number % 60,
            u64::from(number) * 7_919 % 1_000_000_000,
        )
        .into_bytes()
    };
    let one = coded((1..=1).map(record)).len();
    let many = coded((1..=401).map(record)).len();
    let each = (many - one) / 400;
    assert!(each <= 8, "{one} bytes for the first, {each} for each other");
}

fn json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        3 => "(/usr/bin/|--|key )[a-c]{0,3}",
        1 => "([ -!#-\\[\\]-~]|\\\\[\"\\\\nu]|é){0,8}",
        1 => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        1 => "2026-[01][0-9]-[0-3][0-9]T[0-9]{2}:[0-5][0-9]:[0-5][0-9]\\.[0-9]{9}Z",
        1 => "=",
    ];
    let text = text.prop_map(|text| format!("\"{text}\""));
    let number = prop_oneof![
        (0..2_000_u64).prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[0-9]{1,5}\\.[0-9]{1,10}",
        "(true|false|null|-0|1e9|1E\\+2|00)",
    ];
    let leaf = prop_oneof![text, number];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let member = ("(id|pid|start_ns|boot_id|[a-d\"]{1,2})", inner.clone());
        let member = member.prop_map(|(name, value)| format!("\"{}\":{value}", name.replace('"', "\\\"")));
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_json_comes_back(texts in prop::collection::vec((json(), 0..4_usize, any::<bool>()), 0..24)) {
        let texts = texts.into_iter().flat_map(|(text, times, spaced)| {
            let text = if spaced { text.replace(',', ", ") } else { text };
            std::iter::repeat_n(text.into_bytes(), times)
        });
        coded(texts);
    }

    #[test]
    fn what_is_changed_in_a_pack_of_records_is_refused_or_does_not_fit(
        at: prop::sample::Index, byte: u8, texts in prop::collection::vec(json(), 1..12),
    ) {
        let records = follow(texts.into_iter().map(String::into_bytes));
        let mut bytes = pack(Mark::NONE, &borrowed(&records)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(changed) = unpack(Mark::NONE, &bytes) {
            let same = changed.records().map(|record| record.body).eq(records.iter().map(|(_, body)| body.as_slice()));
            prop_assert!(same || changed.end() != records.last().map(|(mark, _)| *mark));
        }
    }
}

#[test]
fn what_nests_too_deep_or_is_too_much_is_kept_as_it_is_or_not_condensed() {
    let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    coded([deep(24), deep(25), deep(26), deep(1_000)]);
    // More columns than there may be.
    let wide: Vec<String> = (0..5_000).map(|number| format!("\"name{number}\":1")).collect();
    let records = follow([format!("{{{}}}", wide.join(",")).into_bytes()]);
    assert!(pack(Mark::NONE, &borrowed(&records)).is_none());
    assert!(condense(Mark::NONE, &borrowed(&records)).is_none());
}

/// What a program decides that is no record, in a pack of so many.
fn flaw<T>(count: u64, decide: impl FnOnce(&mut Tree<Writer>, &mut Heads) -> T) -> Flaw {
    let mut bytes = vec![VERSION];
    put(&mut bytes, count);
    let (mut tree, mut heads) = (Tree::new(Writer::behind(bytes)), Heads::new());
    decide(&mut tree, &mut heads);
    unpack(Mark::NONE, &tree.coder.finish()).unwrap_err()
}

#[test]
fn a_pack_that_lies_is_refused() {
    let head = Head { above: 0, without_stamp: false, hash: 0, raw: None };
    let raw = |length| Head { raw: Some(length), ..head };
    let of = |tree: &mut Tree<Writer>, text: &[u8]| {
        assert_eq!(tree.record(text, &json::spans(text).unwrap()), Ok(text));
    };
    assert_eq!(unpack(Mark::NONE, &[VERSION]).unwrap_err(), Flaw::Cut);
    assert_eq!(flaw(1 << 20, |_, _| {}), Flaw::Large);
    assert_eq!(flaw(60_000, |_, _| {}), Flaw::Large);
    // Lengths: less than none, and more than there may be.
    assert_eq!(flaw(1, |tree, heads| heads.code(&mut tree.coder, raw(-1))), Flaw::Coded);
    assert_eq!(flaw(1, |tree, heads| heads.code(&mut tree.coder, raw(17 << 20))), Flaw::Large);
    assert_eq!(flaw(1, |tree, heads| heads.code(&mut tree.coder, raw(1 << 20))), Flaw::Cut);
    // Numbers that go back, or beyond all.
    let above = |above| Head { above, ..raw(0) };
    assert_eq!(flaw(1, |tree, heads| heads.code(&mut tree.coder, above(-1))), Flaw::Coded);
    let beyond = |tree: &mut Tree<Writer>, heads: &mut Heads| {
        for _ in 0..3 {
            heads.code(&mut tree.coder, above(i64::MAX));
        }
    };
    assert_eq!(flaw(3, beyond), Flaw::Lengths);
    // A stamp behind what does not end as an object, and an id that follows from nothing.
    let stamped = Head { without_stamp: true, ..head };
    let number = |tree: &mut Tree<Writer>, heads: &mut Heads| {
        heads.code(&mut tree.coder, stamped);
        of(tree, b"[7]");
    };
    assert_eq!(flaw(1, number), Flaw::Coded);
    let follows = |tree: &mut Tree<Writer>, heads: &mut Heads| {
        heads.code(&mut tree.coder, head);
        of(tree, br#"{"id":"="}"#);
    };
    assert_eq!(flaw(1, follows), Flaw::Coded);
    // More than the records it says it has.
    let mut more = coded([b"{}".to_vec()]);
    more.extend([7; 9]);
    assert_eq!(unpack(Mark::NONE, &more).unwrap_err(), Flaw::Lengths);
}

#[test]
fn names_without_end_end() {
    let head = Head { above: 0, without_stamp: false, hash: 0, raw: None };
    // Names of nothing cost next to nothing.
    let text = format!("{{{}}}", vec!["\"\":1"; 1 << 18].join(","));
    let names = |tree: &mut Tree<Writer>, heads: &mut Heads| {
        heads.code(&mut tree.coder, head);
        assert_eq!(tree.record(text.as_bytes(), &json::spans(text.as_bytes()).unwrap()), Err(Flaw::Large));
    };
    assert_eq!(flaw(1, names), Flaw::Large);
}

#[test]
fn a_pack_that_grows_without_end_ends() {
    // One value of a mebibyte, and then the same again for next to nothing.
    let large = format!("\"{}\"", "x".repeat(1 << 20)).into_bytes();
    let head = Head { above: 0, without_stamp: false, hash: 0, raw: None };
    let bomb = |tree: &mut Tree<Writer>, heads: &mut Heads| {
        for _ in 0..40 {
            heads.code(&mut tree.coder, head);
            // What reads refuses more than there may be; so does what writes.
            if tree.record(&large, &json::spans(&large).unwrap()).is_err() {
                break;
            }
        }
    };
    assert_eq!(flaw(40, bomb), Flaw::Large);
}
