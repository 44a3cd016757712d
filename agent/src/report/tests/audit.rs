//! A host with twins: of each pair, one has what an auditor would ask about, and one has not.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Minutes after three.
fn time(minute: u64) -> String {
    format!("2026-01-02T03:{minute:02}:00.000000000Z")
}

fn actor(name: &str) -> Value {
    match name.split_once(':') {
        Some(("person", user)) => json!({"id": format!("session:{user}:3"), "kind": "human-session",
            "origin": "login", "user": user}),
        Some(("by", user)) => json!({"id": "user:deploy:/usr/bin/deploy", "kind": "system-user",
            "origin": format!("human:{user}"), "user": "deploy"}),
        _ => json!({"id": format!("systemd:{name}.service"), "kind": "systemd-service",
            "origin": format!("timer:{name}.timer"), "user": name}),
    }
}

/// A credential, and whatever is special about it.
fn credential(id: &str, special: &Value) -> Value {
    let mut credential = json!({"id": id, "kind": id.split(':').next(), "path": path(id),
        "version": "cv1:1", "written": "2025-12-20T00:00:00.000000000Z"});
    for (name, value) in special.as_object().unwrap() {
        credential[name] = value.clone();
    }
    credential
}

fn path(id: &str) -> String {
    format!("/etc/secrets/{}", id.split(':').nth(1).unwrap())
}

/// What is told, one record after the other.
#[derive(Default)]
struct Story {
    records: Vec<Value>,
}

impl Story {
    fn push(&mut self, minute: u64, kind: &str, rest: &Value) -> u64 {
        let seq = u64::try_from(self.records.len()).unwrap() + 1;
        let mut record = json!({"v": 1, "seq": seq, "time": time(minute), "type": kind,
            "host": {"id": "6f1d2c9e", "name": "db7", "boot_id": "b"}});
        for (name, value) in rest.as_object().unwrap() {
            record[name] = value.clone();
        }
        self.records.push(record);
        seq
    }

    fn opens(&mut self, minute: u64, who: &str, credential: &Value, mode: &str, owner: u32) -> u64 {
        let file = json!({"path": credential["path"], "owner": owner, "mode": mode});
        self.push(minute, "action", &json!({"action": "secret.open", "run": format!("r{minute}"),
            "actor": actor(who), "process": {"exe": "/usr/bin/job"}, "file": file, "credential": [credential]}))
    }

    fn reaches(&mut self, minute: u64, who: &str, after: u64, outcome: &str, name: &str) {
        let to = json!({"ip": "10.0.0.9", "port": 443, "transport": "tcp", "name": name});
        self.push(minute, "action", &json!({"action": "connect", "run": "r", "outcome": outcome,
            "actor": actor(who), "process": {"exe": "/usr/bin/curl"}, "destination": to, "link": {"of": [after]}}));
    }

    /// What the inventory tells of a credential that lies here.
    fn rests(&mut self, minute: u64, credential: &Value, mode: &str) {
        let file = json!({"path": credential["path"], "owner": 0, "mode": mode});
        self.push(
            minute,
            "inventory",
            &json!({"of": "credential", "why": ["daily"], "credential": [credential],
            "watched_since": "2026-01-01T00:00:00.000000000Z", "known": time(0), "runs": 0, "versions": 1,
            "files": [file]}),
        );
    }

    fn views(&self) -> impl Iterator<Item = View> {
        self.records.iter().map(|record| View::parse(record.to_string().as_bytes()).unwrap())
    }
}

fn story() -> Story {
    let mut story = Story::default();
    let of = |id: &str| credential(id, &json!({}));
    story.push(0, "coverage", &json!({"agent_version": "0.1.0", "kernel": "6.1.0", "scope": [], "signals": [
        {"signal": "secret.open", "tier": "lsm", "proven": true, "blind": []},
        {"signal": "connect", "tier": "kprobe", "proven": true, "blind": ["connections that io_uring asks for"]},
        {"signal": "names", "proven": false, "blind": ["all"]}]}));
    let alone = story.opens(1, "backup", &of("aws:alone"), "0600", 0);
    story.reaches(1, "backup", alone, "established", "s3.example.com");
    story.reaches(1, "backup", alone, "refused", "s3.example.com");
    story.opens(2, "backup", &of("aws:shared"), "0600", 0);
    story.opens(3, "web", &of("aws:shared"), "0600", 0);
    let old = json!({"written": "2025-01-01T00:00:00.000000000Z"});
    story.opens(4, "backup", &credential("token:old", &old), "0600", 0);
    story.opens(4, "backup", &credential("token:rotated", &old), "0600", 0);
    let fresh = json!({"version": "cv1:2", "written": "2026-01-01T00:00:00.000000000Z"});
    story.opens(5, "backup", &credential("token:rotated", &fresh), "0600", 0);
    story.opens(6, "web", &of("pem:everybody"), "0644", 0);
    story.opens(6, "web", &of("pem:group"), "0640", 0);
    story.opens(7, "person:alice", &of("ssh:own"), "0600", 1000);
    story.opens(7, "person:alice", &of("ssh:system"), "0600", 114);
    story.opens(7, "person:dave", &of("ssh:own"), "0600", 1000);
    story.opens(8, "person:bob", &credential("kube:admin", &json!({"human_use": "finding"})), "0600", 0);
    story.opens(9, "by:carol", &of("aws:alone"), "0600", 0);
    let ends = |time: &str| json!({"expires": time, "issuer": "self", "lifetime": "short-lived"});
    story.opens(10, "web", &credential("cert:soon", &ends("2026-01-09T00:00:00.000000000Z")), "0600", 0);
    story.opens(10, "web", &credential("cert:late", &ends("2026-02-09T00:00:00.000000000Z")), "0600", 0);
    story.opens(10, "web", &credential("cert:past", &ends("2026-01-02T00:00:00.000000000Z")), "0600", 0);
    story.opens(10, "web", &credential("cert:long", &ends("2029-01-02T00:00:00.000000000Z")), "0600", 0);
    let print = json!({"fingerprints": ["cfp1:7"]});
    story.opens(11, "web", &credential("env:copy", &print), "0600", 0);
    story.opens(11, "backup", &credential("env:original", &print), "0600", 0);
    story.push(12, "gap", &json!({"kind": "lost", "since": time(11), "counts": {"fork": 3}, "chains": []}));
    story.push(12, "heartbeat", &json!({"state": "running", "counters": {}}));
    story.push(20, "heartbeat", &json!({"state": "running", "counters": {}}));
    let hostile = json!({"path": "/srv/<script>alert(\"x\")</script>&'\u{202e}gnp.yek"});
    let hostile = credential("odd:<b>&\"", &hostile);
    for credential in [of("key:never"), of("key:once"), of("key:gone"), hostile.clone()] {
        story.rests(20, &credential, "0600");
    }
    story.push(
        20,
        "inventory",
        &json!({"of": "host", "why": ["daily"], "total": {},
        "left_out": {"directories_unlisted": 2}}),
    );
    for credential in [of("key:never"), of("key:once"), hostile] {
        story.rests(21, &credential, "0600");
    }
    story.push(
        21,
        "inventory",
        &json!({"of": "host", "why": ["daily"], "total": {},
        "left_out": {"directories_unlisted": 1}}),
    );
    story.opens(22, "web", &of("key:once"), "0600", 0);
    story
}

pub(super) fn told(format: AuditFormat, style: &Style) -> String {
    inventory::audit_of(story().views(), None, format, style)
}

pub(super) fn listed(query: &Query, style: &Style) -> String {
    inventory::text_of(story().views(), query, style)
}

pub(super) fn one(id: &str) -> Query {
    Query { id: Some(id.to_owned()), ..Query::all(Of::Credentials) }
}

/// Names of remarks by id.
fn remarks(query: &Query) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = inventory::told_of(story().views(), query);
    let entry = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let names = entry["remarks"].as_array().unwrap().iter().map(|remark| text(&remark["name"]));
        (text(&entry["id"]), names.collect())
    };
    lines.lines().map(entry).collect()
}

#[test]
fn of_twins_one_is_remarked_on() {
    let found = remarks(&Query::all(Of::Credentials));
    let expected: &[(&str, &[&str])] = &[
        ("aws:alone", &["reuse", "human-use"]),
        ("aws:shared", &["reuse"]),
        ("token:old", &["long-lived"]),
        ("token:rotated", &[]),
        ("pem:everybody", &["readable"]),
        ("pem:group", &["readable-by-group"]),
        ("ssh:own", &[]),
        ("ssh:system", &["human-use"]),
        ("kube:admin", &["human-use"]),
        ("cert:soon", &["expires-soon"]),
        ("cert:late", &[]),
        ("cert:past", &["expired"]),
        ("cert:long", &["long-lived"]),
        ("env:copy", &["same-secret"]),
        ("env:original", &["same-secret"]),
        ("key:never", &["unused"]),
        ("key:once", &[]),
        ("odd:<b>&\"", &["unused"]),
    ];
    for (id, names) in expected {
        assert_eq!(found.get(*id).unwrap_or_else(|| panic!("{id} is not listed")), names, "{id}");
    }
    assert_eq!(found.len(), expected.len(), "what is gone is not listed: {:?}", found.keys());
    let actors = remarks(&Query::all(Of::Actors));
    assert_eq!(actors["user:deploy:/usr/bin/deploy"], ["human-use"]);
    assert!(actors["systemd:web.service"].is_empty() && actors["session:alice:3"].is_empty());
}

#[test]
fn filters_select() {
    let ids = |query: Query| remarks(&query).into_keys().collect::<Vec<_>>();
    let with = |name: &str| {
        let remark = Some(remark(name).unwrap());
        ids(Query { remark, ..Query::all(Of::Credentials) })
    };
    assert_eq!(with("NHI7"), ["cert:long", "token:old"]);
    assert_eq!(with("nhi7:2025"), with("long-lived"));
    assert_eq!(with("readable"), ["pem:everybody"]);
    assert!(remark("NHI99").unwrap_err().contains("readable"));
    let unused = Query { unused: true, ..Query::all(Of::Credentials) };
    assert_eq!(ids(unused.clone()), ["key:never", "odd:<b>&\""]);
    let since_ns = crate::record::nanoseconds(&time(10));
    let lately = ids(Query { since_ns, ..Query::all(Of::Credentials) });
    assert!(lately.contains(&"cert:soon".to_owned()) && !lately.contains(&"aws:shared".to_owned()));
    let not_lately = ids(Query { since_ns, ..unused });
    assert!(not_lately.contains(&"aws:shared".to_owned()) && not_lately.contains(&"key:never".to_owned()));
    assert_eq!(lately.len() + not_lately.len(), remarks(&Query::all(Of::Credentials)).len());
    assert_eq!(ids(one("aws:alone")), ["aws:alone"]);
}

/// What is kept of actions ends with retention; what the inventory tells of them does not.
#[test]
fn what_the_inventory_saw_used_is_no_less_used() {
    let mut story = Story::default();
    let held = credential("key:old", &json!({}));
    story.rests(3, &held, "0600");
    for (name, minute) in [("first", 1), ("last", 2)] {
        story.records[0][name] = json!(time(minute));
    }
    story.push(9, "heartbeat", &json!({}));
    let unused = |minute: Option<u64>| {
        let since_ns = minute.and_then(|minute| crate::record::nanoseconds(&time(minute)));
        let query = Query { since_ns, unused: true, ..Query::all(Of::Credentials) };
        inventory::told_of(story.views(), &query).lines().count()
    };
    assert_eq!((unused(None), unused(Some(1)), unused(Some(5))), (0, 0, 1));
}

#[test]
fn what_is_not_there_is_told_to_be_asked_for_otherwise() {
    let (_dir, reader) = store(false);
    let why = inventory(&reader, &one("aws"), &PLAIN).unwrap_err().to_string();
    assert_eq!(why, "`aws` is not among the credentials; `spoor credentials` lists those there are");
    let none = Query { remark: Some("expired".to_owned()), ..Query::all(Of::Credentials) };
    let text = inventory(&reader, &none, &PLAIN).unwrap();
    assert_eq!(text, "no credentials of those that are known are as asked for\n");
}

/// The page of a host where everything that comes from outside is this text.
fn page_of(text: &str) -> String {
    let mut story = Story::default();
    let held = json!({"id": text, "kind": text, "path": text, "issuer": text, "lifetime": text,
        "identifiers": {text: text}, "human_use": "finding", "written": time(0)});
    story.push(
        0,
        "coverage",
        &json!({"agent_version": text, "kernel": text, "scope": [text],
        "signals": [{"signal": text, "tier": text, "proven": true, "blind": [text]}]}),
    );
    let who = json!({"id": text, "kind": text, "origin": text, "user": text, "human": {"user": text}});
    story.push(
        1,
        "action",
        &json!({"action": "secret.open", "run": text, "actor": who,
        "process": {"exe": text}, "file": {"path": text, "owner": 0, "mode": "0644"}, "credential": [held]}),
    );
    story.push(
        2,
        "action",
        &json!({"action": "connect", "run": text, "actor": who, "process": {"script": text},
        "destination": {"ip": text, "port": 1, "name": text}, "link": {"of": [2]}, "outcome": text}),
    );
    story.push(2, "gap", &json!({"kind": text}));
    let unused = json!({"id": format!("{text}2"), "kind": text, "path": text});
    story.rests(3, &unused, "0644");
    story.records.iter_mut().for_each(|record| record["host"] = json!({"id": text, "name": text}));
    inventory::audit_of(story.views(), None, AuditFormat::Html, &PLAIN)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever names say, the page has the tags it has with harmless ones.
    #[test]
    fn no_name_becomes_part_of_the_page(text in any::<String>(), nasty in "[<>&\"'/a-z =!-]{0,24}") {
        let harmless = page_of("xharmless");
        let tags = |page: &str| ['<', '>', '"'].map(|letter| page.matches(letter).count());
        for text in [format!("x{text}"), format!("x{nasty}"), format!("x{text}{nasty}")] {
            let page = page_of(&text);
            prop_assert_eq!(tags(&page), tags(&harmless));
            for at in page.match_indices('&').map(|(at, _)| at) {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
                prop_assert!(known.iter().any(|known| page[at..].starts_with(known)), "{}", &page[at..]);
            }
            prop_assert!(!page.chars().any(|letter| letter.is_control() && letter != '\n'));
        }
    }
}

#[test]
fn the_page_needs_nothing_beside_itself() {
    let page = told(AuditFormat::Html, &PLAIN);
    for foreign in ["<script", "http://", "https://", "src=", "@import", "url(", "<link", " style="] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    // All that is linked is on the page, and every label is there.
    let values = |name: &str| {
        let start = format!(" {name}=\"");
        let parts = page.split(&start).skip(1);
        parts.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ids = values("id");
    for target in values("href").iter().map(|href| href.trim_start_matches('#')) {
        assert!(ids.contains(&target.to_owned()), "{target}");
    }
    for label in values("aria-labelledby") {
        assert!(ids.contains(&label), "{label}");
    }
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), ids.len());
}
