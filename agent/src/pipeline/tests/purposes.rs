//! Verdicts, from the event to the end of the chain.

use std::path::Path;
use std::sync::Arc;

use super::super::scenario::{BACKUP, Played, REFUSED, SECOND, Scenario, stages};
use crate::chain::{Acted, Limits, Note, Verdicts};
use crate::event::{Deed, Source, What};
use crate::purpose::{Misfit, Purposes, Verdict};

const JOB: &str = "/usr/bin/job";
const TOKEN: &str = "/srv/token";

/// Of the user's job: its token, and two destinations by name and address.
fn purposes(more: &str) -> Arc<Purposes> {
    let text = format!(
        "[[purpose]]\nname = \"job\"\nactor = \"user:backup:/usr/bin/job\"\nowner = \"x\"\nprograms = [\"{JOB}\"]\n\
         credentials = [\"{TOKEN}\", \"kind:metadata\"]\ndestinations = [\"files.example.net:443\", \"10.0.0.1\"{more}]\n"
    );
    Arc::new(crate::purpose::read(&[("p", &text)]).unwrap().purposes)
}

/// Plays the events, taking over a set before each of those numbers.
fn play(story: &Scenario, sets: &[(usize, Arc<Purposes>)]) -> Played {
    let mut stages = stages(Limits::default(), 10_000);
    let (mut notes, mut wishes) = (Vec::new(), Vec::new());
    for (number, event) in story.events.iter().enumerate() {
        for (_, set) in sets.iter().filter(|(before, _)| *before == number) {
            stages.purposes(Arc::clone(set));
        }
        stages.step(event, &mut notes, &mut wishes);
    }
    Played { stages, notes, wishes }
}

fn verdicts(played: &Played) -> Vec<Option<(Verdict, Vec<Misfit>)>> {
    acted(played)
        .map(|acted| acted.judged.as_ref().map(|judged| (judged.verdict, judged.misfits.clone())))
        .collect()
}

fn sums(played: &Played) -> Verdicts {
    let closed = played.notes.iter().find_map(|note| {
        let Note::Closed(closed) = note else { return None };
        Some(closed.summary.verdicts.as_deref().cloned())
    });
    closed.unwrap_or_default().unwrap_or_default()
}

fn acted(played: &Played) -> impl DoubleEndedIterator<Item = &Acted> {
    played.notes.iter().filter_map(|note| {
        let Note::Acted(acted) = note else { return None };
        Some(&**acted)
    })
}

fn seed(target: &str, name: &str) -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    std::fs::read(corpus.join(target).join(name)).unwrap()
}

const WITHIN: Option<(Verdict, Vec<Misfit>)> = Some((Verdict::Within, Vec::new()));

fn outside(misfit: Misfit) -> Option<(Verdict, Vec<Misfit>)> {
    Some((Verdict::Outside, vec![misfit]))
}

#[test]
fn each_action_has_a_verdict_and_the_chain_their_sums() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, JOB);
    story.open(job, TOKEN);
    story.open(job, "/srv/.pgpass");
    let near = story.connect(job, "10.0.0.1", 5432);
    story.end(near, REFUSED);
    let far = story.connect(job, "10.0.0.2", 5432);
    story.end(far, Ok(()));
    let tool = story.fork(job, 201);
    story.exec(tool, "/usr/bin/tool");
    story.exit(tool, 0);
    story.exit(job, 0);
    let played = play(&story, &[(0, purposes(""))]);
    assert_eq!(
        verdicts(&played),
        [
            WITHIN,
            outside(Misfit::Credential),
            WITHIN,
            outside(Misfit::Destination),
            outside(Misfit::Program),
            None,
            None,
        ]
    );
    let expected = Verdicts { within: 2, outside: 3, undeclared: 0, purposes: vec![Arc::from("job")] };
    assert_eq!(sums(&played), expected);
    // The same night where nobody has declared anything.
    let bare = story.play();
    assert!(verdicts(&bare).iter().all(Option::is_none));
    assert_eq!(sums(&bare), Verdicts::default());
    assert_eq!(bare.lines(), played.lines(), "purposes change nothing else");
}

#[test]
fn a_connection_is_judged_by_what_held_when_it_was_asked_for() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, JOB);
    let asked = story.connect(job, "10.0.0.2", 443);
    let reloaded = story.events.len();
    story.end(asked, Ok(()));
    let again = story.connect(job, "10.0.0.2", 443);
    story.end(again, Ok(()));
    let played = play(&story, &[(0, purposes("")), (reloaded, purposes(", \"10.0.0.2\""))]);
    assert_eq!(verdicts(&played), [outside(Misfit::Destination), WITHIN]);
    let gone = play(&story, &[(0, purposes("")), (reloaded, Arc::default())]);
    assert_eq!(verdicts(&gone), [outside(Misfit::Destination), None]);
}

/// The address has the name, as the host was told; the client then says another, or what it says was never told.
#[test]
fn a_name_is_believed_where_a_server_gave_it_for_the_address() {
    let hello = seed("tls", "openssl-tls13");
    let said = crate::names::server_name(&hello).unwrap().unwrap();
    let story = |answer: Option<&str>, speaks: bool| {
        let (mut story, shell) = Scenario::begin();
        let job = story.run(shell, 200, BACKUP, JOB);
        if let Some(answer) = answer {
            story.push(What::Answer(seed("dns", answer)));
        }
        let asked = story.connect(job, "203.0.113.9", 443);
        story.end(asked, Ok(()));
        if speaks {
            story.deed(job, Source::SkbHello, Deed::Hello { of: asked, bytes: hello.clone() });
        }
        story.exit(job, 0);
        story
    };
    let told = story(Some("a"), false);
    assert_eq!(verdicts(&play(&told, &[(0, purposes(""))])), [WITHIN, None]);
    // It says another name: the first verdict is taken back, and the sums have the last.
    let played = play(&story(Some("a"), true), &[(0, purposes(""))]);
    assert_eq!(verdicts(&played), [WITHIN, outside(Misfit::Destination), None], "{said}");
    assert_eq!((sums(&played).within, sums(&played).outside), (0, 1));
    // What nobody but the client says is no name, though a purpose has it.
    let set = purposes(&format!(", \"{said}\""));
    let played = play(&story(None, true), &[(0, Arc::clone(&set))]);
    assert_eq!(verdicts(&played), [outside(Misfit::Destination), outside(Misfit::Destination), None]);
    let reason = acted(&played).rev().find_map(|acted| acted.judged.as_ref()?.reason.clone());
    assert!(reason.unwrap().contains("no name server gave that name this address"));
}

#[test]
fn what_an_endpoint_hands_out_must_be_allowed() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, JOB);
    let asked = story.connect(job, "169.254.169.254", 80);
    story.end(asked, Ok(()));
    let there = purposes(", \"169.254.169.254:80\"");
    assert_eq!(verdicts(&play(&story, &[(0, there)])), [WITHIN]);
    assert_eq!(verdicts(&play(&story, &[(0, purposes(""))])), [outside(Misfit::Destination)]);
    let (mut story, shell) = Scenario::begin();
    let other = story.run(shell, 200, BACKUP, "/usr/bin/other");
    let asked = story.connect(other, "169.254.169.254", 80);
    story.wait(10 * SECOND);
    story.tick();
    story.end(asked, Ok(()));
    let played = play(&story, &[(0, purposes(""))]);
    let undeclared = Some((Verdict::Undeclared, Vec::new()));
    assert_eq!(verdicts(&played), [undeclared.clone(), undeclared], "pending, then at last");
}
