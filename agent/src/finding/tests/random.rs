//! Whatever comes: bounded, the same each time, no panic.

use std::sync::Arc;

use proptest::prelude::*;

use super::stage::{By, Stage, by, connect, credential, writing};
use crate::credential::{Credential, Human};
use crate::event::MemoryWay;
use crate::finding::Finding;

#[derive(Clone, Debug)]
struct Step {
    who: usize,
    what: u8,
    token: u16,
    host: u8,
    wait_s: u32,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0..6_usize, 0..6_u8, any::<u16>(), any::<u8>(), 0..40_000_u32);
    let step =
        step.prop_map(|(who, what, token, host, wait_s)| Step { who, what, token: token % 64, host, wait_s });
    prop::collection::vec(step, 0..300)
}

fn cast() -> Vec<By> {
    let mut hidden = by("systemd:c.service", "/memfd:x");
    Arc::make_mut(&mut hidden.process.program).nameless = true;
    vec![
        by("systemd:a.service", "/usr/bin/a"),
        by("container:docker:0123456789ab", "/tmp/b"),
        hidden,
        by("session:alice:3", "/usr/bin/cat"),
        by("user:svc:/x@bob", "/usr/bin/x"),
        by("kubernetes:shop:cart", "/app/run"),
    ]
}

/// Does a step; tells who did it, and with which credential.
fn take<'a>(stage: &mut Stage, cast: &'a [By], step: &Step) -> (&'a By, Credential) {
    let who = &cast[step.who];
    let token = Credential {
        human: if step.token.is_multiple_of(2) { Human::Finding } else { Human::Expected },
        fingerprints: vec![format!("cfp1:{}", step.token % 7)],
        version: Some(format!("cv1:{}", step.host % 4)),
        expires: Some(i64::from(step.token) * 40_000),
        ..credential(&step.token.to_string())
    };
    match step.what {
        0 | 1 => stage.opens(who, &token),
        2 => stage.connects(who, &token, step.host),
        3 => stage.executes(who, &["x", "--password", "hunter2"]),
        4 => stage.looks_into(who, (&cast[0], &token), MemoryWay::Attach),
        _ => stage.acts(who, Some((&token, step.host)), connect(step.host)),
    }
    stage.wait(u64::from(step.wait_s) * 1_000_000_000);
    if step.host.is_multiple_of(5) {
        stage.ends(who);
    }
    (who, token)
}

fn play(steps: &[Step]) -> (Vec<Finding>, (usize, usize)) {
    let (mut stage, cast) = (Stage::new(), cast());
    for step in steps {
        take(&mut stage, &cast, step);
    }
    let sizes = stage.findings.sizes();
    (stage.out, sizes)
}

fn all(found: &[Finding]) -> String {
    format!("{found:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_same_acts_bring_the_same_findings(steps in steps()) {
        let (one, sizes) = play(&steps);
        prop_assert_eq!(&one, &play(&steps).0);
        prop_assert!(sizes.0 <= 4_096);
        // One finding for each act of each kind at most, and no secret in any.
        prop_assert!(!all(&one).contains("hunter2"));
        for finding in &one {
            prop_assert!(finding.actions.len() <= Finding::ACTIONS_MAX);
            prop_assert!(finding.first_ns <= finding.last_ns && finding.count > 0);
        }
    }

    /// Whoever writes which credential by which program, after whatever habits, and whatever that one holds.
    #[test]
    fn nothing_is_found_of_a_writing(steps in steps()) {
        let (mut stage, cast) = (Stage::new(), cast());
        for step in &steps {
            let (who, token) = take(&mut stage, &cast, step);
            let before = stage.out.len();
            stage.acts(who, Some((&credential("held"), step.host)), writing(&token));
            prop_assert_eq!(&stage.out[before..], &[]);
        }
    }
}

/// Ever new actors, credentials, programs and hosts: nothing grows without end, and what is given up is counted.
#[test]
fn ever_new_names_are_bounded() {
    let mut stage = Stage::new();
    for number in 0..12_000_u32 {
        let mut who = by(&format!("systemd:s{number}.service"), &format!("/tmp/p{number}"));
        Arc::make_mut(&mut who.process.program).nameless = true;
        let token = Credential {
            fingerprints: vec![format!("cfp1:{number}"), format!("cfp1:b{number}")],
            ..credential(&number.to_string())
        };
        stage.opens(&who, &token);
        stage.out.clear();
    }
    let (open, remembered) = stage.findings.sizes();
    assert!(open <= 4_096 && remembered <= 4_096 + 2 * 8_192 + 16_384, "{open} {remembered}");
    assert!(stage.findings.counts().evicted > 10_000, "{:?}", stage.findings.counts());
}
