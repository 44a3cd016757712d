//! Pages of chains and of days: what they say, and what no name in a record can make of them.

use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::record::{Record, RecordType, nanoseconds};

/// The night of all stories.
fn night() -> Day {
    Day::read("2026-01-02").unwrap()
}

/// Five hours later.
const MORNING_NS: i64 = 1_767_340_800_000_000_000;

/// The night for which owners have declared what it is for.
fn declared_as(format: Format) -> String {
    let (_dir, reader) = declared(false);
    show(&reader, &ids(&reader).0, format, &PLAIN).unwrap()
}

/// Those that are goldens, some of a host that was broken into.
pub(super) fn all(alarmed: &Reader, broken_into: &str) -> [(&'static str, String); 6] {
    [
        ("show-purposes.html", declared_as(Format::Html(Place::File))),
        ("show-purposes.svg", declared_as(Format::Svg)),
        ("show-purposes.dot", declared_as(Format::Dot)),
        ("findings-show.html", show(alarmed, broken_into, Format::Html(Place::Served), &PLAIN).unwrap()),
        ("day.html", day(alarmed, night(), Place::File).unwrap()),
        ("index.html", index(alarmed, &Asked::default(), MORNING_NS).unwrap()),
    ]
}

/// A store of these records, all of one chain but for gaps.
fn told(bodies: &[Value]) -> (TempDir, Reader) {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    let kinds =
        [RecordType::Action, RecordType::Chain, RecordType::Gap, RecordType::Finding, RecordType::Coverage];
    let record = |(seq, body): (u64, &Value)| {
        let mut body = body.clone();
        let second = seq.min(59);
        (body["seq"], body["time"]) = (json!(seq), json!(format!("2026-01-02T03:00:{second:02}.000000000Z")));
        let kind = kinds.into_iter().find(|kind| body["type"] == kind.name()).unwrap();
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Record {
            seq,
            time_ns: nanoseconds(body["time"].as_str().unwrap()).unwrap(),
            kind,
            chain: body["chain"].as_str().map(str::to_owned),
            gap_chains: texts(&body["chains"]),
            body: body.to_string().into_bytes(),
        }
    };
    let records: Vec<Record> = (1..).zip(bodies).map(record).collect();
    Store::open(dir.path(), retention).unwrap().append(&records).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
}

/// Records where everything that comes from outside is this text.
fn hostile(text: &str) -> Vec<Value> {
    let host = json!({"id": text, "name": text});
    let actor = json!({"id": text, "kind": text, "origin": text, "user": text,
        "human": {"user": text, "session": text, "from": text, "basis": text}, "human_unknown": text, "pod": {"uid": text, "name": text}});
    let process = json!({"id": text, "pid": 7, "exe": text, "argv": [text, text], "script": text,
        "comm": text, "parent": {"id": format!("{text}0"), "pid": 1}});
    let key = json!({"id": text, "kind": text, "path": text, "expires": text});
    let to = json!({"ip": text, "port": 1, "name": text, "transport": text});
    let of = |rest: Value| {
        let mut record = json!({"chain": text, "run": text, "host": host, "actor": actor});
        for (name, value) in rest.as_object().unwrap() {
            record[name] = value.clone();
        }
        record
    };
    let act = |action: &str, rest: Value| {
        let mut record = of(rest);
        (record["type"], record["action"], record["process"]) =
            (json!("action"), json!(action), process.clone());
        record
    };
    vec![
        of(
            json!({"type": "chain", "status": "opened", "root": process, "lineage": [process], "gaps": [text]}),
        ),
        act(
            "secret.open",
            json!({"file": {"path": text, "access": text}, "credential": [key],
            "purpose": {"verdict": "outside", "name": text, "reason": text}}),
        ),
        act("exec", json!({"environment": [text], "attempt": {"number": 2}})),
        act("connect", json!({"destination": to, "outcome": text, "link": {"of": [2], "basis": text}})),
        act(text, json!({"credential": [key]})),
        act("cred.change", json!({"from": {"euid": text}, "to": {"euid": text}})),
        of(
            json!({"type": "finding", "finding_id": text, "told": "first", "severity": text, "kind": text, "reason": text}),
        ),
        json!({"type": "gap", "kind": text, "since": text, "counts": {text: 1}, "chains": [text], "host": host}),
        json!({"type": "coverage", "host": host, "agent_version": text, "kernel": text,
            "signals": [{"signal": text, "tier": text, "proven": false, "blind": [text]}]}),
        of(json!({"type": "chain", "status": "closed", "root": process, "reason": text,
            "summary": {"credentials": [key], "destinations": [to], "gaps": [text], "purpose": {"within": 1, "outside": 1, "names": [text]}}})),
    ]
}

/// Everything that is made of a chain: pages, then images.
fn all_of(text: &str) -> ([String; 4], String, String) {
    let (_dir, reader) = told(&hostile(text));
    let id = reader.chains_between((i64::MIN, i64::MAX), 9).unwrap().remove(0);
    let stored = reader.chain(&id).unwrap();
    let chain = chain::Chain::new(id, show::views(&stored));
    let page = |place| page::chain(&chain, &stored, place);
    let asked = Asked { actor: text.to_owned(), credential: text.to_owned(), ..Asked::default() };
    let day = day(&reader, night(), Place::File).unwrap();
    let index = index(&reader, &asked, MORNING_NS).unwrap();
    let graph = graph::Graph::of(&chain);
    ([page(Place::File), page(Place::Served), day, index], graph.svg(text), graph.dot(text))
}

/// Whether every element is closed where it belongs, and every attribute in quotes. Void elements are those of HTML.
fn closed(page: &str) -> Result<(), String> {
    const VOID: [&str; 3] = ["meta", "input", "!DOCTYPE"];
    let (mut open, mut rest) = (Vec::new(), page);
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').ok_or("a tag that does not end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> closes another"));
            }
            continue;
        }
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        if tag.matches('"').count() % 2 != 0 {
            return Err(format!("quotes of <{tag}>"));
        }
        if !tag.starts_with('?') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(()) } else { Err(format!("open at the end: {open:?}")) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever names say, pages and images have the elements they have with harmless ones.
    #[test]
    fn no_name_becomes_part_of_a_page(text in any::<String>(), nasty in "[<>&\"'/a-z =!\\\\{}-]{0,24}\u{202e}?\u{ffff}?") {
        let (harmless, svg, dot) = all_of("x harmless");
        let tags = |page: &str| ['<', '>', '"'].map(|letter| page.matches(letter).count());
        // With a blank in it, so that it is no id that a page may link.
        let text = format!("x {text}{nasty}");
        let (pages, hostile_svg, hostile_dot) = all_of(&text);
        for (page, harmless) in pages.iter().zip(&harmless).chain([(&hostile_svg, &svg)]) {
            prop_assert_eq!(closed(page), Ok(()));
            prop_assert_eq!(tags(page), tags(harmless));
            for at in page.match_indices('&').map(|(at, _)| at) {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
                prop_assert!(known.iter().any(|known| page[at..].starts_with(known)), "{}", &page[at..]);
            }
            let bad = |letter: char| letter.is_control() && letter != '\n' || matches!(letter, '\u{202a}'..='\u{202e}');
            prop_assert!(!page.chars().any(bad));
        }
        prop_assert!(!hostile_svg.contains(['\u{fffe}', '\u{ffff}']), "no letters of XML");
        prop_assert_eq!(hostile_dot.lines().count(), dot.lines().count());
        let bare = |dot: &str| dot.replace("\\\\", "").replace("\\\"", "").matches('"').count();
        prop_assert_eq!(bare(&hostile_dot), bare(&dot));
    }
}

#[test]
fn pages_need_nothing_beside_themselves() {
    let (_dir, reader) = alarmed();
    let (_declared_dir, of_owners) = declared(false);
    let page = show(&of_owners, &ids(&of_owners).0, Format::Html(Place::File), &PLAIN).unwrap();
    let served = show(&of_owners, &ids(&of_owners).0, Format::Html(Place::Served), &PLAIN).unwrap();
    let day = day(&reader, night(), Place::File).unwrap();
    let index = index(&reader, &Asked::default(), MORNING_NS).unwrap();
    for (page, alone) in [(&page, true), (&day, true), (&served, false), (&index, false)] {
        closed(page).unwrap();
        for foreign in
            ["<script", "http:", "https:", "src=", "@import", "url(", "<link", " style=", "javascript", " on"]
        {
            // What records say is no tag.
            let found = page.split('<').any(|tag| tag.split('>').next().unwrap().contains(foreign));
            assert!(!found, "{foreign}");
        }
        assert!(page.contains(&format!("content=\"{POLICY}\"")));
        let values = |name: &str| {
            let start = format!(" {name}=\"");
            let parts = page.split(&start).skip(1);
            parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (ids, hrefs) = (values("id"), values("href"));
        for target in &hrefs {
            match target.strip_prefix('#') {
                Some(id) => assert!(ids.contains(&id.to_owned()), "{id}"),
                None => assert!(!alone && target.starts_with('/') && !target.starts_with("//"), "{target}"),
            }
        }
        assert_eq!(hrefs.iter().any(|target| target.starts_with('/')), !alone);
        for label in values("aria-labelledby") {
            assert!(ids.contains(&label), "{label}");
        }
        let different: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(different.len(), ids.len(), "{ids:?}");
        // What scrolls by itself is reached by keyboard, and has a name.
        assert_eq!(
            page.matches("class=\"wide\"").count(),
            page.matches("role=\"region\" tabindex=\"0\" aria-label").count()
        );
    }
}

#[test]
fn gaps_come_before_what_they_put_in_doubt() {
    let (_dir, reader) = store(true);
    let page = show(&reader, &ids(&reader).1, Format::Html(Place::File), &PLAIN).unwrap();
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let gap = at("events were lost: 37 connect, 12 connect.end");
    assert!(gap < at("id=\"findings\"") && gap < at("<svg") && gap < at("id=\"timeline\""));
    let day = day(&reader, night(), Place::File).unwrap();
    assert!(day.find("no word of the agent since").unwrap() < day.find("id=\"chains\"").unwrap());
}

/// Contrast as WCAG 2.2 counts it: 4.5 for every text on every ground it stands on, in light and in dark.
#[test]
fn everything_can_be_read_in_light_and_in_dark() {
    let colours = |css: &str| -> BTreeMap<String, [f64; 3]> {
        let pairs =
            css.split(['{', ';', '}']).filter_map(|part| part.trim().strip_prefix("--")?.split_once(": #"));
        let byte =
            |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        pairs.map(|(name, hex)| (name.to_owned(), [0, 2, 4].map(|at| byte(hex, at)))).collect()
    };
    let luminance = |colour: &[f64; 3]| {
        let linear =
            |part: f64| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
    };
    let (light, dark) = page::COLOURS.split_once("@media").unwrap();
    for (name, colours) in [("light", colours(light)), ("dark", colours(dark))] {
        assert_eq!(colours.len(), 11, "{name}");
        for ink in ["ink", "faint", "link", "good", "bad", "doubt"] {
            for ground in ["paper", "band"] {
                let (one, other) = (luminance(&colours[ink]), luminance(&colours[ground]));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{name}: {ink} on {ground} has {contrast:.2}");
            }
        }
        for ink in ["tag-ink", "ink", "faint"] {
            let (one, other) = (luminance(&colours[ink]), luminance(&colours["tag"]));
            let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(contrast >= 4.5, "{name}: {ink} on tag has {contrast:.2}");
        }
    }
}

#[test]
fn what_is_too_long_is_cut_and_said_to_be() {
    let long = "a".repeat(4_096);
    let process = json!({"id": "p", "pid": 1, "exe": "/bin/job", "argv": [long]});
    let act = json!({"type": "action", "action": "exec", "chain": "C", "actor": {"id": "systemd:a.service"}, "process": process});
    let (_dir, reader) = told(&vec![act; 2_500]);
    let page = show(&reader, "C", Format::Html(Place::File), &PLAIN).unwrap();
    assert!(page.contains("<strong>500 more between, not told here.</strong>"));
    assert!(page.contains("Of 2500, the first 2000 are told here."));
    // 2 MiB of records in full, and rows.
    assert!(page.contains(" records are not here in full, for their size."));
    assert!((2 << 20..8 << 20).contains(&page.len()), "{}", page.len());
    let day = day(&reader, night(), Place::File).unwrap();
    assert!(day.contains("2440 more between") && day.len() < 200_000, "{}", day.len());
}

#[test]
fn of_many_chains_those_with_findings_are_told_and_the_others_counted() {
    let chain = |number: u64| json!({"type": "chain", "status": "opened", "chain": format!("C{number:04}"), "actor": {"id": format!("systemd:a{}.service", number % 3)}});
    let mut records: Vec<Value> = (0..400).map(chain).collect();
    records.push(json!({"type": "finding", "chain": "C0399", "finding_id": "f", "told": "first", "kind": "new-actor", "severity": "high", "reason": "why"}));
    let (_dir, reader) = told(&records);
    let page = day(&reader, night(), Place::Served).unwrap();
    assert!(page.contains("<b>400</b> chains") && page.contains("100 chains more are not told here"));
    assert_eq!(page.matches("<details class=\"one\"").count(), 300);
    assert_eq!(page.matches("<details class=\"one\" open>").count(), 1, "the one with a finding");
    let actors: Vec<&str> = page.split("<h3>").skip(1).map(|rest| rest.split(' ').next().unwrap()).collect();
    assert_eq!(actors, ["systemd:a0.service", "systemd:a1.service", "systemd:a2.service"]);
}

#[test]
fn a_day_is_one_of_utc_and_one_that_is_kept() {
    for wrong in [
        "",
        "2026-1-2",
        "20260102",
        "2026-02-30",
        "today",
        "2026-01-02T00:00",
        "+002026-01-02",
        "-9999-01-01",
    ] {
        assert_eq!(Day::read(wrong), None, "{wrong}");
    }
    let (_dir, reader) = store(false);
    let why = day(&reader, Day::read("2026-01-03").unwrap(), Place::File).unwrap_err().to_string();
    assert_eq!(why, "no record of 2026-01-03 is kept; the store has 2026-01-02 to 2026-01-02, UTC");
}

#[test]
fn filters_of_the_index_select() {
    let (_dir, reader) = alarmed();
    let of = |asked: Asked| {
        let page = index(&reader, &asked, MORNING_NS).unwrap();
        let chains = page.split("id=\"chains\"").nth(1).unwrap();
        chains.split("id=\"days\"").next().unwrap().matches("href=\"/chain/").count()
    };
    assert_eq!(of(Asked::default()), 3);
    assert_eq!(of(Asked { actor: "systemd:web.service".to_owned(), ..Asked::default() }), 1);
    assert_eq!(of(Asked { credential: "AKIAIOSFODNN7EXAMPLE".to_owned(), ..Asked::default() }), 2);
    assert_eq!(of(Asked { findings: true, ..Asked::default() }), 2);
    assert_eq!(of(Asked { since: "1h".to_owned(), ..Asked::default() }), 0);
    assert_eq!(of(Asked { since: "1w".to_owned(), ..Asked::default() }), 3);
    assert_eq!(of(Asked { since: "nonsense".to_owned(), ..Asked::default() }), 3);
}

/// Graphviz itself, where it is installed.
#[test]
fn graphviz_reads_the_graph() {
    let nasty = "x \"];}<b>\\N&lt;{|}\\";
    for (graph, nodes) in [(declared_as(Format::Dot), 6), (all_of(nasty).2, 4)] {
        let dot = Command::new("dot")
            .arg("-Tplain")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut dot) = dot else {
            eprintln!("SKIP: no `dot` here; apt-get install graphviz");
            return;
        };
        std::io::Write::write_all(&mut dot.stdin.take().unwrap(), graph.as_bytes()).unwrap();
        let output = dot.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let plain = String::from_utf8(output.stdout).unwrap();
        assert_eq!(plain.lines().filter(|line| line.starts_with("node ")).count(), nodes, "{plain}");
    }
}
