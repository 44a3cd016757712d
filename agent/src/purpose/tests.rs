use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::credential::Credential;

/// Friday, 2026-01-02 03:00 UTC.
const NIGHT: i64 = 1_767_322_800_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn set(text: &str) -> Purposes {
    read(&[("p.toml", text)]).unwrap_or_else(|error| panic!("{error}")).purposes
}

fn credential(kind: &str) -> Arc<Credential> {
    let path = format!("/keys/{kind}").into_bytes();
    Arc::new(Credential { id: format!("{kind}:1"), kind: kind.to_owned(), path, ..Credential::default() })
}

/// An act in words: actor, program, credentials (`own` or held), destination, hours after the night's beginning.
#[derive(Clone, Debug)]
struct Told {
    actor: String,
    program: String,
    credentials: Vec<Arc<Credential>>,
    own: bool,
    to: Option<(IpAddr, u16)>,
    hours: i64,
}

impl Told {
    fn sighting(&self) -> Sighting {
        Sighting {
            actor: self.actor.clone(),
            exe: self.program.clone(),
            script: None,
            unsure: false,
            credentials: self.credentials.clone(),
            own: self.own,
            to: self.to.map_or(SightedAt::Nowhere, |(ip, port)| SightedAt::Inet {
                ip,
                port,
                heard: Vec::new(),
                said: None,
            }),
            wall_ns: NIGHT + self.hours * HOUR,
            times: 1,
            chain: "C".to_owned(),
        }
    }

    fn judged(&self, purposes: &Purposes) -> Option<Judged> {
        purposes.judge(&self.sighting().act())
    }
}

fn opens(actor: &str, program: &str, kind: &str) -> Told {
    let credentials = vec![credential(kind)];
    Told { actor: actor.to_owned(), program: program.to_owned(), credentials, own: true, to: None, hours: 0 }
}

fn connects(actor: &str, program: &str, held: &[&str], to: &str) -> Told {
    let to: std::net::SocketAddr = to.parse().unwrap();
    let credentials = held.iter().map(|kind| credential(kind)).collect();
    let to = Some((to.ip(), to.port()));
    Told { actor: actor.to_owned(), program: program.to_owned(), credentials, own: false, to, hours: 0 }
}

/// Two purposes of one actor, by two owners, and a wildcard over both.
const TWO: &str = r#"
[[purpose]]
name = "backup"
actor = "systemd:a.service"
owner = "storage"
programs = ["/usr/bin/restic"]
credentials = ["kind:aws"]
destinations = ["10.0.0.0/24:443"]

[[purpose]]
name = "database"
actor = "systemd:a.service"
owner = "database"
programs = ["/usr/bin/psql"]
credentials = ["kind:pgpass"]
destinations = ["10.0.1.1:5432"]
times = ["fri 01:00-05:00 UTC"]

[[purpose]]
name = "all-units"
actor = "systemd:*.service"
owner = "platform"
programs = ["/usr/bin/logger"]
destinations = ["10.0.9.9:514"]
"#;

const A: &str = "systemd:a.service";

/// Each act beside its twin, which differs in one thing.
#[test]
fn one_purpose_allows_the_act_whole() {
    use Misfit::{Credential, Destination, Program, Time};
    use Verdict::{Outside, Undeclared, Within};
    let purposes = set(TWO);
    let restic = "/usr/bin/restic";
    let psql = "/usr/bin/psql";
    let late = |told: Told| Told { hours: 24, ..told };
    type Case = (&'static str, Told, Verdict, Option<&'static str>, &'static [Misfit]);
    let cases: Vec<Case> = vec![
        ("own credential", opens(A, restic, "aws"), Within, Some("backup"), &[]),
        ("the other's credential", opens(A, restic, "pgpass"), Outside, Some("backup"), &[Credential]),
        ("a program nobody named", opens(A, "/bin/cat", "aws"), Outside, Some("backup"), &[Program]),
        ("own destination", connects(A, restic, &["aws"], "10.0.0.9:443"), Within, Some("backup"), &[]),
        ("wrong port", connects(A, restic, &["aws"], "10.0.0.9:80"), Outside, Some("backup"), &[Destination]),
        (
            "wrong network",
            connects(A, restic, &["aws"], "10.0.2.9:443"),
            Outside,
            Some("backup"),
            &[Destination],
        ),
        // Half of one and half of the other is neither.
        ("mixed program", connects(A, psql, &["aws"], "10.0.0.9:443"), Outside, Some("backup"), &[Program]),
        (
            "mixed credential",
            connects(A, restic, &["pgpass"], "10.0.0.9:443"),
            Outside,
            Some("backup"),
            &[Credential],
        ),
        (
            "mixed destination",
            connects(A, restic, &["aws"], "10.0.1.1:5432"),
            Outside,
            Some("backup"),
            &[Destination],
        ),
        // Which of those it holds went along, nobody saw.
        ("holds both", connects(A, restic, &["pgpass", "aws"], "10.0.0.9:443"), Within, Some("backup"), &[]),
        ("holds none", connects(A, restic, &[], "10.0.0.9:443"), Within, Some("backup"), &[]),
        ("in time", connects(A, psql, &["pgpass"], "10.0.1.1:5432"), Within, Some("database"), &[]),
        (
            "a day late",
            late(connects(A, psql, &["pgpass"], "10.0.1.1:5432")),
            Outside,
            Some("database"),
            &[Time],
        ),
        // A wildcard claims too, and allows what it allows.
        (
            "by the wildcard",
            connects(A, "/usr/bin/logger", &[], "10.0.9.9:514"),
            Within,
            Some("all-units"),
            &[],
        ),
        (
            "another unit",
            opens("systemd:b.service", restic, "aws"),
            Outside,
            Some("all-units"),
            &[Program, Credential],
        ),
        ("another kind of actor", opens("cron:root:/x", restic, "aws"), Undeclared, None, &[]),
        ("no actor of a name like it", opens("systemd:a.service2", restic, "aws"), Undeclared, None, &[]),
    ];
    for (what, told, verdict, purpose, misfits) in cases {
        let judged = told.judged(&purposes).unwrap();
        assert_eq!(judged.verdict, verdict, "{what}: {judged:?}");
        assert_eq!(judged.purpose.as_deref(), purpose, "{what}");
        assert_eq!(judged.misfits, misfits, "{what}");
        assert_eq!(judged.reason.is_none(), verdict == Within, "{what}");
    }
}

#[test]
fn of_several_that_allow_it_the_whole_id_comes_first_then_the_name() {
    let one = |name: &str, actor: &str, programs: &str| {
        format!("[[purpose]]\nname = \"{name}\"\nactor = \"{actor}\"\nowner = \"x\"\nprograms = {programs}\n")
    };
    let all = "[\"any\"]";
    let wild = one("a-wild", "systemd:*.service", all);
    let names = |text: &str, told: &Told| told.judged(&set(text)).unwrap().purpose.unwrap().to_string();
    let told = connects(A, "/x", &[], "10.0.0.1:1");
    let exec = Told { to: None, ..told.clone() };
    assert_eq!(names(&format!("{wild}{}", one("z", A, all)), &exec), "z");
    assert_eq!(names(&format!("{}{}", one("z", A, all), one("y", A, all)), &exec), "y");
    // A purpose that denies takes nothing from one that allows, whichever comes first.
    assert_eq!(names(&format!("{}{wild}", one("z", A, "[\"/y\"]")), &exec), "a-wild");
    // Nearest is who has fewest misfits, wherever it stands.
    assert_eq!(names(&format!("{}{wild}", one("z", A, "[\"/y\"]")), &told), "a-wild");
}

#[test]
fn what_is_left_away_is_denied_and_any_is_everything() {
    let purpose = |rest: &str| {
        set(&format!(
            "[[purpose]]\nname = \"p\"\nactor = \"{A}\"\nowner = \"x\"\nprograms = [\"any\"]\n{rest}"
        ))
    };
    let verdict = |rest: &str, told: &Told| told.judged(&purpose(rest)).unwrap().verdict;
    let open = opens(A, "/x", "aws");
    let connect = connects(A, "/x", &["aws"], "10.0.0.1:1");
    assert_eq!(verdict("", &open), Verdict::Outside);
    assert_eq!(verdict("credentials = [\"any\"]", &open), Verdict::Within);
    assert_eq!(verdict("credentials = [\"any\"]", &connect), Verdict::Outside);
    assert_eq!(verdict("credentials = [\"any\"]\ndestinations = [\"any\"]", &connect), Verdict::Within);
    assert_eq!(
        verdict("destinations = [\"any\"]", &connect),
        Verdict::Outside,
        "it holds what is not allowed"
    );
}

#[test]
fn an_expired_purpose_claims_and_allows_nothing() {
    let purpose = |expires: &str| {
        set(&format!(
            "[[purpose]]\nname = \"p\"\nactor = \"{A}\"\nowner = \"x\"\nprograms = [\"any\"]\ncredentials = [\"any\"]\n\
             expires = {expires}"
        ))
    };
    let open = opens(A, "/x", "aws");
    for good in ["2026-01-02", "\"2026-01-02\"", "2026-01-02T03:00:01Z", "9998-12-30"] {
        assert_eq!(open.judged(&purpose(good)).unwrap().verdict, Verdict::Within, "{good}");
    }
    for over in ["2026-01-01", "2026-01-02T03:00:00Z", "\"2026-01-02T03:30:00+01:00\""] {
        let judged = open.judged(&purpose(over)).unwrap();
        assert_eq!((judged.verdict, judged.misfits), (Verdict::Outside, vec![Misfit::Expires]), "{over}");
        assert!(judged.reason.unwrap().contains("expired at 2026-01-02T0"), "{over}");
    }
}

#[test]
fn a_digest_that_is_not_known_is_no_verdict() {
    let hex = "ab".repeat(32);
    let text = |programs: &str| {
        format!(
            "[[purpose]]\nname = \"p\"\nactor = \"{A}\"\nowner = \"x\"\nprograms = [{programs}]\ncredentials = [\"any\"]"
        )
    };
    let pinned = set(&text(&format!("\"/x sha256:{hex}\"")));
    let sighting = opens(A, "/x", "aws").sighting();
    let with = |digest| {
        let mut act = sighting.act();
        act.program.digest = digest;
        pinned.judge(&act).unwrap()
    };
    let unknown = with(None);
    assert_eq!((unknown.verdict, unknown.purpose.as_deref()), (Verdict::Undeclared, Some("p")));
    assert_eq!(unknown.reason.as_deref(), Some("the digest of /x is not known"));
    assert_eq!(with(Some([0xab; 32])).verdict, Verdict::Within);
    assert_eq!(with(Some([0; 32])).misfits, [Misfit::Program]);
    let other = opens(A, "/y", "aws").judged(&pinned).unwrap();
    assert_eq!(other.verdict, Verdict::Outside, "no digest makes another path right");
}

#[test]
fn reasons_say_what_is_wrong() {
    let purposes = set(TWO);
    let reason = |told: &Told| told.judged(&purposes).unwrap().reason.unwrap();
    assert_eq!(
        reason(&connects(A, "/usr/bin/restic", &["aws"], "10.1.2.3:443")),
        "destination 10.1.2.3:443 is not among its destinations"
    );
    assert_eq!(reason(&opens(A, "/bin/c\u{1b}t", "aws")), "program /bin/c\\u{1b}t is not among its programs");
    assert_eq!(
        reason(&connects(A, "/usr/bin/restic", &["a", "b"], "10.0.0.1:443")),
        "none of the 2 credentials held, a:1 among them, is among its credentials"
    );
    assert_eq!(reason(&opens("cron:root:/x", "/x", "aws")), "no purpose claims this actor");
    let text = TWO.replace("10.0.0.0/24:443", "s3.example.com:443");
    let mut sighting = connects(A, "/usr/bin/restic", &["aws"], "10.1.2.3:443").sighting();
    sighting.to = SightedAt::Inet {
        ip: "10.1.2.3".parse().unwrap(),
        port: 443,
        heard: Vec::new(),
        said: Some("s3.example.com".to_owned()),
    };
    assert_eq!(
        set(&text).judge(&sighting.act()).unwrap().reason.unwrap(),
        "destination 10.1.2.3:443 s3.example.com is not among its destinations (the client says it is s3.example.com, and no \
         name server gave that name this address)"
    );
}

#[test]
fn without_declarations_there_is_no_verdict() {
    assert_eq!(opens(A, "/x", "aws").judged(&set("")), None);
    assert_eq!(opens(A, "/x", "aws").judged(&Purposes::default()), None);
}

#[test]
fn owners_who_overlap_are_told() {
    let warnings = |text: &str| read(&[("p.toml", text)]).unwrap().warnings;
    assert_eq!(warnings(TWO), [""; 0]);
    let both = TWO.replace("kind:pgpass", "kind:aws");
    let told = warnings(&both);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("`backup` (storage, p.toml:2) and `database` (database, p.toml:10) both claim"),
        "{told:?}"
    );
    assert_eq!(
        warnings(&both.replace("\"database\"\nprograms", "\"storage\"\nprograms")),
        [""; 0],
        "one owner"
    );
    assert_eq!(warnings(&both.replace("10.0.1.1:5432", "10.0.0.0/24:443")), [""; 0], "the same destinations");
    let wild = both.replacen("systemd:a.service", "systemd:*.service", 1);
    assert_eq!(warnings(&wild).len(), 1, "a wildcard that meets an id");
}

/// What reads as every job of cron is none: `*` is no `:`.
#[test]
fn an_owner_whose_purpose_claims_nobody_is_told() {
    let of = |actor: &str, count: usize| -> String {
        let one = |n| {
            format!(
                "[[purpose]]\nname = \"p{n}\"\nactor = \"{actor}\"\nowner = \"dba\"\nprograms = [\"any\"]\n"
            )
        };
        (0..count).map(one).collect()
    };
    let warnings = |text: &str| read(&[("p.toml", text)]).unwrap().warnings;
    assert_eq!(
        warnings(&of("cron:*", 1)),
        [
            "`p0` (dba, p.toml:1) judges nobody: `cron:*` is nobody's id: these are `cron:<user>:<program>`, and `*` is no `:` and no `/`"
        ]
    );
    assert_eq!(warnings(&of("cron:*:/usr/bin/*", 1)), [""; 0]);
    let many = warnings(&of("cron:*", 103));
    assert_eq!((many.len(), many[100].as_str()), (101, "and 3 more purposes that judge nobody"));
}

#[test]
fn a_set_has_bounds_and_a_name() {
    assert!(read(&[("a", &"#".repeat((1 << 20) + 1))]).is_err());
    let item: String = (0..1_025).map(|n| format!("\"/p{n}\",")).collect();
    let text = format!("[[purpose]]\nname = \"p\"\nactor = \"{A}\"\nowner = \"x\"\nprograms = [{item}]");
    assert!(read(&[("a", &text)]).unwrap_err().to_string().contains("more than 1024"));
    let wild = |name: usize| {
        let item: String = (0..1_000).map(|n| format!("\"/p{n}/*\",")).collect();
        format!("[[purpose]]\nname = \"p{name}\"\nactor = \"{A}\"\nowner = \"x\"\nprograms = [{item}]\n")
    };
    let files: Vec<String> = (0..5).map(wild).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|text| ("w", text.as_str())).collect();
    assert!(read(&files[..4]).is_ok(), "4000 of them");
    assert!(read(&files).unwrap_err().to_string().contains("more than 4096 paths with wildcards"));
    assert_eq!(set(TWO).id(), set(TWO).id());
    assert_ne!(set(TWO).id(), set(&TWO.replace("443", "444")).id());
    assert!(
        is_purposes(TWO)
            && is_purposes("purpose = 1")
            && !is_purposes("[store]\nkeep = \"1d\"")
            && !is_purposes("")
    );
}

/// Acts of a small world, so that many of them meet.
fn acts() -> impl Strategy<Value = Told> {
    let actor = prop::sample::select(vec![A, "systemd:b.service", "cron:root:/x", "", "user:a:/b*c"]);
    let program =
        prop::sample::select(vec!["/usr/bin/restic", "/usr/bin/psql", "", "rel", "/a/[b]*{c}", "/z\\x"]);
    let kinds = prop::collection::vec(prop::sample::select(vec!["aws", "pgpass", "o[d]d", "x\\y"]), 0..3);
    let ip = prop_oneof![
        (0..40_u8).prop_map(|last| IpAddr::from([10, 0, 0, last])),
        (0..40_u16).prop_map(|last| IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last])),
    ];
    let to = prop::option::of((ip, prop_oneof![Just(443), Just(5432), 1..60_u16]));
    (actor, program, kinds, any::<bool>(), to, -400..400_i64).prop_map(
        |(actor, program, kinds, own, to, hours)| Told {
            actor: actor.to_owned(),
            program: program.to_owned(),
            credentials: kinds.into_iter().map(credential).collect(),
            own,
            to,
            hours,
        },
    )
}

proptest! {
    #[test]
    fn judging_is_total_and_another_actors_purpose_changes_nothing(told in acts()) {
        let before = told.judged(&set(TWO)).unwrap();
        let more = format!("{TWO}\n[[purpose]]\nname = \"a-a\"\nactor = \"kubernetes:x:*\"\nowner = \"x\"\nprograms = [\"any\"]\n\
            credentials = [\"any\"]\ndestinations = [\"any\"]");
        prop_assert_eq!(&before, &told.judged(&set(&more)).unwrap());
        // More purposes never make less of an act within.
        let mine = more.replace("kubernetes:x:*", A);
        let after = told.judged(&set(&mine)).unwrap();
        if before.verdict == Verdict::Within || told.actor == A {
            prop_assert_eq!(after.verdict, Verdict::Within);
        }
    }

    #[test]
    fn what_is_learnt_allows_all_it_was_learnt_from(all in prop::collection::vec(acts(), 1..60)) {
        let mut learner = Learner::default();
        all.iter().for_each(|told| learner.see(&told.sighting()));
        let text = learner.propose();
        let purposes = read(&[("learned", &text)]);
        prop_assert!(purposes.is_ok(), "{}\n{text}", purposes.unwrap_err());
        let purposes = purposes.unwrap().purposes;
        for told in &all {
            // A program without a sure path, and an actor without a whole id, cannot be declared, and that is said.
            if literal_program(told) && !told.actor.is_empty() {
                let judged = told.judged(&purposes).unwrap();
                prop_assert_eq!(judged.verdict, Verdict::Within, "{:?}\n{}\n{}", told, judged.reason.unwrap_or_default(), text);
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,80}", word in "[a-z0-9:*./\\[\\]-]{0,24}") {
        let _ = read(&[("a", &text)]);
        let text = format!("[[purpose]]\nname = \"p\"\nactor = \"{word}\"\nowner = \"x\"\nprograms = [\"{word}\"]\n\
            credentials = [\"{word}\"]\ndestinations = [\"{word}\"]\ntimes = [\"{word}\"]\nexpires = \"{word}\"");
        if let Err(invalid) = read(&[("a", &text)]) {
            prop_assert!(!invalid.to_string().is_empty());
        }
    }
}

fn literal_program(told: &Told) -> bool {
    pattern::literal(&told.program).is_some()
}
