//! Each kind: what brings exactly it, and what looks like it and must not.

mod keeping;
mod random;
pub(super) mod stage;

use std::sync::Arc;

use stage::{By, DAY, HOUR, Stage, by, credential, services_own, text};

use super::{Kind, Settings};
use crate::actor::{Human, HumanBasis, Pod};
use crate::credential::{Credential, Lifetime};
use crate::event::MemoryWay;

const NONE: [(&str, &str); 0] = [];

fn backup() -> By {
    by("systemd:backup.service", "/usr/bin/restic")
}

fn web() -> By {
    let mut web = by("systemd:web.service", "/usr/bin/web");
    "www".clone_into(&mut web.actor.user);
    web
}

#[test]
fn names_are_those_of_the_config_and_come_back() {
    assert_eq!(Kind::ALL.map(Kind::name), crate::config::FINDINGS);
    assert!(Kind::ALL.into_iter().all(|kind| Kind::from_name(kind.name()) == Some(kind)));
}

/// The ids, as they are written by those who made them.
#[test]
fn every_kind_has_tags_that_are_ids() {
    for kind in Kind::ALL {
        let tags = kind.tags();
        let all = |ids: &[&str], is: fn(&str) -> bool| !ids.is_empty() && ids.iter().all(|id| is(id));
        assert!(all(tags.owasp_nhi, |id| id.starts_with("NHI") && id.ends_with(":2025")), "{kind:?}");
        assert!(all(tags.attack, |id| id.len() >= 5 && id.starts_with('T')), "{kind:?}");
        assert!(all(tags.nist_csf, |id| id.len() == 8 && id.contains(".")), "{kind:?}");
        assert!(all(tags.sp_800_207, |id| ["4", "5", "7"].contains(&id)), "{kind:?}");
        assert!(kind.advice().ends_with('.'), "{kind:?}");
    }
}

#[test]
fn an_actor_that_never_did() {
    let mut stage = Stage::new();
    let token = credential("a");
    stage.habit(&backup(), &token);
    stage.opens(&backup(), &token);
    assert_eq!(stage.found(), NONE, "whose it is");
    stage.opens(&web(), &token);
    let told = stage.out.first().map(|finding| finding.reason.clone());
    let sentence = "systemd:web.service opened token a for the first time, by /usr/bin/web";
    assert_eq!(told.as_deref(), Some(sentence));
    assert_eq!(stage.found(), [("new-actor", "medium")]);
    stage.wait(2 * DAY);
    stage.opens(&web(), &token);
    assert_eq!(stage.found(), [("new-actor", "medium"); 0], "by now it did");
    let mut cousin = by("systemd:prune.service", "/usr/bin/restic");
    cousin.actor.user = "svc".to_owned();
    stage.opens(&cousin, &token);
    assert_eq!(stage.found(), [("new-actor", "low")], "the same user's");
}

#[test]
fn what_is_not_known_for_long_enough_is_not_judged() {
    let mut stage = Stage::new();
    let token = credential("a");
    assert_eq!(stage.findings.learning_until(&stage.inventory, 0), Some(7 * 86_400_000_000_000));
    stage.opens(&backup(), &token);
    stage.wait(6 * DAY);
    stage.opens(&web(), &token);
    assert_eq!((stage.found(), stage.findings.counts().learning), (Vec::new(), 1));
    stage.wait(2 * DAY);
    stage.opens(&by("systemd:late.service", "/usr/bin/late"), &token);
    assert_eq!(stage.found().len(), 1);
    assert_eq!(stage.findings.learning_until(&stage.inventory, stage.now_ns), None);
}

#[test]
fn names_that_change_with_every_run_are_not_new() {
    let mut stage = Stage::new();
    let token = credential("a");
    stage.habit(&by("container:docker:0123456789ab", "/app/run"), &token);
    stage.opens(&by("container:docker:ba9876543210", "/app/run"), &token);
    assert_eq!(stage.found(), NONE, "deployed anew");
    stage.opens(&by("container:docker:aaaaaaaaaaaa", "/bin/sh"), &token);
    assert_eq!(stage.found(), [("new-actor", "low")], "by another program");
    let other = Credential { version: Some("cv1:z".to_owned()), ..token };
    stage.opens(&by("container:docker:bbbbbbbbbbbb", "/bin/other"), &other);
    assert_eq!(stage.found(), NONE, "another secret under the same name, in another container");
    let host_key = credential("host");
    let connection = |number: u8| by(&format!("systemd:sshd@{number}.service"), "/usr/sbin/sshd");
    (0..3).for_each(|number| stage.habit(&connection(number), &host_key));
    let told = stage.found().len();
    stage.opens(&connection(9), &host_key);
    assert_eq!(
        (stage.found(), told),
        (Vec::new(), 1),
        "one a connection; that there is more than one was news once"
    );
}

#[test]
fn who_opens_whatever_it_finds_finds_one_more() {
    let mut stage = Stage::new();
    let many: Vec<Credential> = (0..20).map(|number| credential(&format!("c{number}"))).collect();
    for token in &many {
        stage.opens(&backup(), token);
    }
    let token = credential("a");
    stage.habit(&web(), &token);
    stage.opens(&backup(), &token);
    assert_eq!((stage.found(), stage.findings.counts().bulk), (Vec::new(), 1));
}

#[test]
fn a_person_with_a_services_credential() {
    let mut stage = Stage::new();
    let (own, key) = (credential("theirs"), services_own("key"));
    let alice = by("session:alice:3", "/usr/bin/cat");
    stage.opens(&alice, &own);
    assert_eq!(stage.found(), NONE, "people may");
    stage.habit(&by("systemd:nginx.service", "/usr/sbin/nginx"), &key);
    stage.opens(&by("session:alice:3", "/usr/sbin/nginx"), &key);
    assert_eq!(stage.found(), NONE, "`sudo nginx -t`");
    let mut sudo = alice.clone();
    sudo.facts.uid = 1000;
    stage.opens(&sudo, &key);
    assert_eq!(stage.found(), NONE, "a set-user-id program, not yet under her orders");
    stage.opens(&alice, &key);
    assert_eq!(stage.found(), [("human-use", "medium")]);
    stage.opens(&by("session:alice:4", "/usr/bin/cat"), &key);
    assert_eq!(stage.found(), NONE, "the same person and credential, on the same day");
    stage.opens(&by("user:www:/usr/bin/cat@bob", "/usr/bin/cat"), &key);
    assert_eq!(stage.found(), [("human-use", "medium")], "bob, who became www");
    stage.wait(2 * DAY);
    stage.found();
    for _ in 0..10 {
        stage.opens(&by("session:ansible:7", "/usr/bin/python3"), &key);
        stage.wait(DAY);
    }
    assert_eq!(stage.found(), [("human-use", "medium"); 7], "a week of it");
    stage.opens(&by("session:ansible:8", "/usr/bin/python3"), &key);
    assert_eq!(stage.found(), NONE, "configuration management that comes in by ssh");
}

#[test]
fn a_person_whom_only_a_client_names_excuses_no_service() {
    let human = |basis| {
        let user = "alice".to_owned();
        Some(Arc::new(Human { user, session: None, from: None, basis, client: None }))
    };
    let mut stage = Stage::new();
    let old = Credential { expires: Some(1), ..credential("old") };
    let mut entered = by("container:docker:0123456789ab", "/usr/bin/cat");
    entered.actor.human = human(HumanBasis::Login);
    stage.opens(&entered, &old);
    assert_eq!(stage.found(), NONE, "a person's own doing");
    entered.actor.human = human(HumanBasis::Client);
    stage.opens(&entered, &old);
    assert_eq!(stage.found(), [("expired-credential", "low")]);
    for (basis, words) in [(HumanBasis::Login, ""), (HumanBasis::Client, ", by a client's words,")] {
        let mut stage = Stage::new();
        let mut pod = by("kubernetes:shop:cart", "/usr/bin/cat");
        pod.actor.human = human(basis);
        stage.opens(&pod, &services_own("key"));
        let reasons: Vec<&str> = stage.out.iter().map(|finding| finding.reason.as_str()).collect();
        let said = format!("alice{words} used ");
        assert!(reasons.iter().any(|reason| reason.starts_with(&said)), "{reasons:?}");
    }
}

#[test]
fn a_program_that_anybody_could_have_put_there() {
    let mut stage = Stage::new();
    let token = credential("a");
    stage.habit(&web(), &token);
    let mut replaced = web();
    Arc::make_mut(&mut replaced.process.program).nameless = true;
    stage.opens(&replaced, &token);
    assert_eq!(stage.found(), NONE, "it started itself anew after its package was upgraded");
    let mut image = by("session:alice:3", "/tmp/.mount_xyz/usr/bin/tool");
    stage.opens(&image, &token);
    assert_eq!(stage.found(), NONE, "an AppImage of hers");
    Arc::make_mut(&mut image.process.program).exe = text("/tmp/tool");
    stage.opens(&image, &token);
    stage.opens(&image, &credential("b"));
    assert_eq!(stage.found(), [("untrusted-program", "medium")]);
    let mut script = web();
    Arc::make_mut(&mut script.process.program).script = Some(text("/dev/shm/x.py"));
    stage.opens(&script, &token);
    assert_eq!(stage.found(), [("untrusted-program", "medium")]);
    let mut hidden = web();
    let image = Arc::make_mut(&mut hidden.process.program);
    (image.nameless, image.exe) = (true, text("/memfd:x"));
    stage.opens(&hidden, &token);
    assert_eq!(stage.found(), [("untrusted-program", "high")]);
    stage.opens(&by("session:alice:3", "/home/alice/tmp/tool"), &token);
    assert_eq!(stage.found(), NONE);
}

#[test]
fn far_more_hosts_than_usual() {
    let mut stage = Stage::new();
    let token = credential("a");
    for _ in 0..10 {
        stage.opens(&backup(), &token);
        (1..4).for_each(|host| stage.connects(&backup(), &token, host));
        stage.wait(DAY);
    }
    (1..12).for_each(|host| stage.connects(&backup(), &token, host));
    assert_eq!(stage.found(), NONE, "eight more than the three");
    stage.connects(&backup(), &token, 20);
    assert_eq!(stage.found(), [("fan-out", "medium")]);
    (21..60).for_each(|host| stage.connects(&backup(), &token, host));
    assert_eq!(stage.found(), [("fan-out", "high")], "it is told anew only where it grew graver");
    let finding = |stage: &mut Stage| {
        stage.ends(&backup());
        stage.out.drain(..).next().map(|finding| finding.count)
    };
    assert_eq!(finding(&mut stage), Some(40));
    let weak = credential("b");
    stage.habit(&web(), &weak);
    (1..40).for_each(|host| stage.acts(&web(), Some((&weak, 20)), stage::connect(host)));
    assert_eq!(stage.found(), NONE, "by weak links nothing is said");
}

#[test]
fn what_a_daemon_holds_alone_for_weeks_fans_out_by_weak_links() {
    use crate::chain::{Basis, LinkFact, Note};
    let reach = |basis: Basis, facts: &[LinkFact]| {
        let mut stage = Stage::new();
        let token = credential("a");
        stage.habit(&web(), &token);
        for host in 1..40 {
            stage.now_ns += 1_000_000;
            stage.number += 1;
            let at = (stage.now_ns, stage.number);
            let mut acted = stage::acts(at, &web(), Some((&token, 15)), stage::connect(host));
            let link = acted.link.as_mut().unwrap();
            (link.basis, link.facts) = (basis, facts.to_vec());
            stage.note(&Note::Acted(Arc::new(acted)));
        }
        stage.found()
    };
    let only = LinkFact::OnlyCredential;
    assert_eq!(reach(Basis::Held, &[only])[0].0, "fan-out");
    assert_eq!(reach(Basis::Held, &[]), NONE, "one of several");
    assert_eq!(reach(Basis::Beside, &[only]), NONE, "another's");
    assert_eq!(reach(Basis::Held, &[only, LinkFact::DestinationDiffers]), NONE, "it is for another host");
}

#[test]
fn a_crawler_reaches_many() {
    let mut stage = Stage::new();
    let token = credential("a");
    for day in 0..10 {
        stage.opens(&web(), &token);
        (0..3).for_each(|host| stage.connects(&web(), &token, day * 3 + host));
        stage.wait(DAY);
    }
    (100..150).for_each(|host| stage.connects(&web(), &token, host));
    assert_eq!(stage.found(), NONE, "of thirty, sixty more would be news");
}

#[test]
fn what_has_ended_and_is_used() {
    let mut stage = Stage::new();
    let day_3 = Some(3 * 86_400);
    let (token, tool) = (
        Credential { expires: day_3, ..credential("a") },
        Credential { expires: day_3, lifetime: Some(Lifetime::ShortLived), ..credential("sso") },
    );
    stage.opens(&backup(), &token);
    assert_eq!(stage.found(), NONE, "not yet");
    stage.wait(2 * DAY + HOUR / 2);
    stage.opens(&backup(), &token);
    assert_eq!(stage.found(), NONE, "clocks differ");
    stage.wait(DAY);
    stage.opens(&backup(), &tool);
    stage.connects(&backup(), &tool, 9);
    assert_eq!(stage.found(), NONE, "opened to be renewed");
    stage.opens(&backup(), &token);
    assert_eq!(stage.found(), [("expired-credential", "low")]);
    stage.connects(&backup(), &token, 9);
    assert_eq!(stage.found(), [("expired-credential", "medium")], "graver, so told at once");
    stage.opens(&by("session:alice:3", "/usr/bin/aws"), &token);
    assert_eq!(stage.found(), NONE, "people renew what has ended");
}

#[test]
fn a_secret_among_arguments() {
    let mut stage = Stage::new();
    stage.executes(&backup(), &["restic", "--password-file=/etc/x", "backup"]);
    stage.executes(&by("session:alice:3", "/usr/bin/app"), &["app", "--password=hunter2"]);
    assert_eq!(stage.found(), NONE);
    stage.executes(&backup(), &["restic", "--password=hunter2", "backup"]);
    let all = format!("{:?}", stage.out);
    assert!(!all.contains("hunter2"), "{all}");
    assert_eq!(stage.found(), [("secret-in-arguments", "low")]);
    stage.wait(2 * DAY);
    stage.executes(&backup(), &["restic", "--password=hunter2", "backup"]);
    assert!(stage.out.is_empty(), "what stands is told once a week");
    stage.wait(6 * DAY);
    stage.executes(&backup(), &["restic", "--password=hunter2", "backup"]);
    let told: Vec<(bool, u64)> = stage.out.iter().map(|finding| (finding.again, finding.count)).collect();
    assert_eq!(told, [(true, 2), (false, 1)]);
}

#[test]
fn what_had_been_replaced() {
    let mut stage = Stage::new();
    let version = |name: &str| Credential { version: Some(name.to_owned()), ..credential("a") };
    let (old, new) = (version("cv1:old"), version("cv1:new"));
    stage.opens(&backup(), &old);
    stage.wait(DAY);
    stage.opens(&backup(), &new);
    stage.opens(&backup(), &old);
    assert_eq!(stage.found(), NONE, "in the course of a rotation");
    stage.wait(2 * HOUR);
    stage.opens(&backup(), &new);
    assert_eq!(stage.found(), NONE);
    // The same path in two pods is two files.
    let mut pods = [by("kubernetes:shop:default", "/app/a"), by("kubernetes:shop:default", "/app/b")];
    for (number, pod) in pods.iter_mut().enumerate() {
        pod.actor.pod = Some(Pod { uid: number.to_string(), ..Pod::default() }.into());
    }
    for _ in 0..3 {
        stage.opens(&pods[0], &version("cv1:one"));
        stage.opens(&pods[1], &version("cv1:two"));
        stage.wait(3 * HOUR);
    }
    assert_eq!(stage.found(), NONE, "of different pods");
    stage.opens(&backup(), &old);
    assert_eq!(stage.found(), [("retired-version", "medium")]);
    for _ in 0..7 {
        stage.wait(DAY);
        stage.opens(&backup(), &old);
    }
    stage.found();
    for _ in 0..8 {
        stage.wait(DAY);
        stage.opens(&backup(), &old);
    }
    assert_eq!(stage.found(), NONE, "put back for good");
}

#[test]
fn one_secret_under_two_actors() {
    let mut stage = Stage::new();
    let same = |id: &str| Credential { fingerprints: vec!["cfp1:x".to_owned()], ..credential(id) };
    stage.habit(&backup(), &same("a"));
    stage.opens(&backup(), &same("copy"));
    assert_eq!(stage.found(), NONE, "two files of one account");
    stage.opens(&web(), &same("b"));
    assert_eq!(stage.found(), [("shared-secret", "low")]);
    stage.wait(8 * DAY);
    stage.opens(&web(), &same("b"));
    assert_eq!(stage.found(), NONE, "it is told when it is new");
    let mut stage = Stage::new();
    stage.habit(&by("kubernetes:prod:pay", "/app/pay"), &same("a"));
    stage.opens(&by("kubernetes:test:pay", "/app/pay"), &same("b"));
    assert_eq!(stage.found(), [("shared-secret", "medium")], "two environments");
    let mut stage = Stage::new();
    stage.opens(&web(), &same("b0"));
    stage.habit(&backup(), &same("a"));
    stage.opens(&web(), &same("b1"));
    assert_eq!(stage.found(), NONE, "it had the secret before, in a file of another pod");
    let mut stage = Stage::new();
    stage.opens(&backup(), &same("a"));
    stage.opens(&web(), &same("b"));
    assert_eq!(stage.found(), NONE, "from the start on: the inventory says so");
}

#[test]
fn memory_of_a_holder() {
    let token = credential("a");
    let looks = |by: &By, target: &By, how: MemoryWay| {
        let mut stage = Stage::new();
        stage.habit(&backup(), &token);
        stage.looks_into(by, (target, &token), how);
        stage.found()
    };
    let alice = by("session:alice:3", "/usr/bin/gdb");
    assert_eq!(looks(&web(), &backup(), MemoryWay::Attach), [("memory-theft", "high")]);
    assert_eq!(looks(&web(), &backup(), MemoryWay::Environ), NONE, "monitoring, crash handlers, needrestart");
    assert_eq!(looks(&alice, &backup(), MemoryWay::File), [("memory-theft", "medium")]);
    let tmp = by("systemd:web.service", "/tmp/x");
    assert_eq!(looks(&tmp, &backup(), MemoryWay::Attach), [("memory-theft", "critical")]);
    assert_eq!(looks(&tmp, &backup(), MemoryWay::Environ), [("memory-theft", "high")]);
    assert_eq!(looks(&alice, &backup(), MemoryWay::Environ), NONE, "`ps e` of an administrator");
    assert_eq!(looks(&backup(), &backup(), MemoryWay::Attach), NONE, "of the same unit");
    assert_eq!(looks(&alice, &alice, MemoryWay::Attach), NONE, "of the same session");
    let mut other = by("session:alice:9", "/usr/bin/app");
    other.process.cgroup = Arc::new(text("/user.slice/user-1000.slice/session-9.scope"));
    assert_eq!(looks(&alice, &other, MemoryWay::Attach), NONE, "of another session of hers");
    let mut child = by("systemd:job.service", "/usr/bin/app");
    child.process.parent = Some(alice.process.key);
    assert_eq!(looks(&alice, &child, MemoryWay::Attach), NONE, "what the debugger itself started");
}

#[test]
fn who_always_looks_into_memory_does_so_by_habit() {
    let mut stage = Stage::new();
    let token = credential("a");
    let profiler = by("systemd:profiler.service", "/usr/bin/profiler");
    stage.opens(&backup(), &token);
    for _ in 0..10 {
        stage.looks_into(&profiler, (&backup(), &token), MemoryWay::Attach);
        stage.wait(DAY);
    }
    assert_eq!(stage.found(), [("memory-theft", "high"); 7], "the first week");
    stage.looks_into(&profiler, (&backup(), &token), MemoryWay::Attach);
    assert_eq!(stage.found(), NONE);
}

#[test]
fn what_is_off_is_not_looked_for() {
    let settings = Settings { off: vec![Kind::HumanUse], ..Settings::default() };
    let mut stage = Stage::with(settings);
    stage.opens(&by("session:alice:3", "/tmp/x"), &services_own("key"));
    assert_eq!(stage.found(), [("untrusted-program", "medium")]);
}

/// What an owner allows is no deviation; that a credential has ended is one all the same.
#[test]
fn a_purpose_silences_what_it_speaks_of() {
    use super::case::Case;
    use super::rules::{Memory, Word, judge};
    let settings = Settings::default();
    let key = Credential { expires: Some(5), ..services_own("key") };
    let (known, _) = stage::connect_after_token(60);
    let kinds = |who: &By, word: Option<Word<'_>>| {
        let deed = stage::opening(&key);
        let acted = stage::acts((DAY, 1), who, Some((&key, 0)), deed);
        let now_ns = i64::try_from(DAY).unwrap();
        let case = Case { acted: &acted, known: &known, settings: &settings, now_ns };
        let mut drafts = Vec::new();
        judge(&case, word, &mut Memory::default(), &mut drafts, &mut Vec::new());
        drafts.iter().map(|draft| draft.kind).collect::<Vec<_>>()
    };
    let job = by("systemd:job.service", "/tmp/job");
    assert_eq!(kinds(&job, None), [Kind::UntrustedProgram, Kind::ExpiredCredential]);
    assert_eq!(kinds(&job, Some(Word::Within)), [Kind::ExpiredCredential]);
    let alice = by("session:alice:3", "/usr/bin/cat");
    assert_eq!(kinds(&alice, None), [Kind::HumanUse]);
    assert_eq!(kinds(&alice, Some(Word::Within)), []);
}
