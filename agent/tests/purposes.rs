//! What people read of purposes, held against golden files (`BLESS=1` writes them), and what a verdict costs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use spoor::credential::Credential;
use spoor::purpose::{Judged, Learner, Misfit, Purposes, SightedAt, Sighting, Verdict, read};

/// Friday, 2026-01-02 03:00 UTC.
const NIGHT: i64 = 1_767_322_800_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
const A: &str = "systemd:a.service";

fn set(text: &str) -> Purposes {
    read(&[("p.toml", text)]).unwrap_or_else(|error| panic!("{error}\n{text}")).purposes
}

/// The program holds a key, and goes there.
fn goes(actor: &str, exe: &str, to: SightedAt, hours: i64) -> Sighting {
    let key = Credential {
        id: "aws:1".to_owned(),
        kind: "aws".to_owned(),
        path: b"/keys/aws".to_vec(),
        ..Credential::default()
    };
    Sighting {
        actor: actor.to_owned(),
        exe: exe.to_owned(),
        script: None,
        unsure: false,
        credentials: vec![Arc::new(key)],
        own: matches!(to, SightedAt::Nowhere),
        to,
        wall_ns: NIGHT + hours * HOUR,
        times: 1,
        chain: format!("01CHAIN{}", hours / 24),
    }
}

fn at(ip: &str, port: u16) -> SightedAt {
    SightedAt::Inet { ip: ip.parse().unwrap(), port, heard: Vec::new(), said: None }
}

fn judged(purposes: &Purposes, sighting: &Sighting) -> Judged {
    purposes.judge(&sighting.act()).unwrap()
}

/// All mistakes of all files, at once.
fn mistakes() -> String {
    let first = r#"
[[purpose]]
name = "Bad Name"
actor = "*"
programs = []
credentials = ["aws", "/a/../b", "/ok", "/ok"]
destinations = ["10.1.2.3/16", "*", "db:70000"]
times = ["funday 01:00-02:00"]
expires = "soon"
owners = "x"

[purposes]
"#;
    let second =
        "[[purpose]]\nname = \"twice\"\nactor = \"systemd:a.service\"\nowner = \"x\"\nprograms = [\"any\"]\n";
    let third = "[[purpose]]\nname = \"twice\"\nowner = 3\nactor = \"systemd:b.service\"\nprograms = \"any\"\ntimes = []\n";
    let invalid = read(&[("a.toml", first), ("b.toml", second), ("c.toml", third)]).unwrap_err();
    assert_eq!(invalid.0.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["a.toml", "c.toml"]);
    format!("{invalid}\n")
}

/// A job of eight nights, and a container that reaches twenty hosts of a network.
fn proposed() -> String {
    let mut learner = Learner::default();
    for day in 0..8 {
        learner.see(&goes(A, "/usr/bin/restic", SightedAt::Nowhere, 24 * day));
        learner.see(&goes(A, "/usr/bin/restic", at("10.0.0.9", 443), 24 * day));
    }
    for last in 0..20 {
        let container = goes("container:docker:0123456789ab", "/app", at(&format!("10.2.0.{last}"), 80), 0);
        learner.see(&Sighting { credentials: Vec::new(), ..container });
    }
    learner.propose()
}

#[test]
fn what_people_read_is_golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/purposes");
    for (name, made) in [("mistakes.txt", mistakes()), ("learned.toml", proposed())] {
        let path = folder.join(name);
        if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
            fs::write(&path, &made).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), made, "{name}; BLESS=1 if it is meant");
    }
}

#[test]
fn a_proposal_allows_what_was_seen_and_no_more() {
    let purposes = set(&proposed());
    let restic = |to, hours| judged(&purposes, &goes(A, "/usr/bin/restic", to, hours));
    assert_eq!(restic(at("10.0.0.9", 443), 24).verdict, Verdict::Within);
    assert_eq!(restic(at("10.0.0.8", 443), 24).misfits, [Misfit::Destination]);
    assert_eq!(restic(at("10.0.0.9", 443), 33).misfits, [Misfit::Time]);
}

/// `cargo test --release -p spoor --test purposes cost -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn cost() {
    const ROUNDS: u32 = 100_000;
    let mut text = String::new();
    for number in 0..1_000 {
        // A hundred of them claim every unit: more than anybody has.
        let unit = if number % 10 == 0 { "*".to_owned() } else { format!("u{number}") };
        text.push_str(&format!(
            "[[purpose]]\nname = \"p{number}\"\nactor = \"systemd:{unit}.service\"\nowner = \"x\"\n\
             programs = [\"/usr/bin/restic\", \"/opt/job/*\"]\ncredentials = [\"kind:aws\", \"/keys/**\"]\n\
             destinations = [\"10.0.0.0/24:443\", \"*.example.com:443\"]\ntimes = [\"mon-sun 00:00-24:00 Europe/Amsterdam\"]\n"
        ));
    }
    let purposes = set(&text);
    assert_eq!(purposes.len(), 1_000);
    let own = "systemd:u1.service";
    for (what, verdict, sighting) in [
        ("allowed by its own", Verdict::Within, goes(own, "/usr/bin/restic", at("10.0.0.9", 443), 0)),
        ("outside of 101", Verdict::Outside, goes(own, "/usr/bin/restic", at("10.9.0.9", 443), 0)),
        ("undeclared", Verdict::Undeclared, goes("cron:root:/x", "/usr/bin/restic", at("10.0.0.9", 443), 0)),
    ] {
        assert_eq!(judged(&purposes, &sighting).verdict, verdict, "{what}");
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(purposes.judge(std::hint::black_box(&sighting.act())));
        }
        println!("{what}: {} ns", begun.elapsed().as_nanos() / u128::from(ROUNDS));
    }
}
