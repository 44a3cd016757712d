//! Who acts in pods and containers.

use crate::chain::{CloseReason, Note};
use crate::event::ProcessKey;
use crate::pipeline::scenario::{ALICE, POD, POD_LATE, POD_SOON, POD_STATIC, SECOND, Scenario};

const AWS: &str = "/home/backup/.aws/credentials";

/// A container's cgroup in a pod; its id begins with the digit.
fn in_pod(uid: &str, digit: char) -> String {
    format!("/kubepods/burstable/pod{uid}/{}", digit.to_string().repeat(64))
}

/// Puts a new process into a cgroup, as what a runtime starts.
fn contained(story: &mut Scenario, maker: ProcessKey, tgid: u32, cgroup: &str) -> ProcessKey {
    let process = story.fork(maker, tgid);
    story.move_to(process, u64::from(tgid), cgroup);
    story.exec(process, "/usr/bin/x");
    process
}

/// Actor, origin and user of each chain.
fn opened(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split_once(" opened ").map(|(_, rest)| rest)).collect()
}

#[test]
fn an_actor_in_a_pod_is_its_service_account() {
    let (mut story, shell) = Scenario::begin();
    let unknown = POD.replace('6', "5");
    for (tgid, uid, digit) in
        [(200, POD, 'a'), (201, POD, 'b'), (202, POD_STATIC, 'c'), (203, unknown.as_str(), 'd')]
    {
        let process = contained(&mut story, shell, tgid, &in_pod(uid, digit));
        story.open(process, AWS);
    }
    let human = story.fork(shell, 204);
    story.login(human, ALICE, 3);
    story.move_to(human, 204, &in_pod(POD, 'e'));
    story.exec(human, "/usr/bin/x");
    story.open(human, AWS);
    assert_eq!(
        opened(&story.play().lines()),
        [
            "kubernetes:shop:cart kubernetes:shop/Deployment/cart root",
            "kubernetes:shop:cart kubernetes:shop/Deployment/cart root",
            "container:cri:cccccccccccc kubernetes:shop/static-0 root",
            "container:cri:dddddddddddd container:cri root",
            "kubernetes:shop:cart human:alice root",
        ],
        "each container is a run of its own; what is not known is not guessed"
    );
}

#[test]
fn an_actor_is_told_anew_once_its_pod_is_known() {
    let (mut story, shell) = Scenario::begin();
    let process = contained(&mut story, shell, 200, &in_pod(POD_LATE, 'a'));
    let child = story.fork(process, 201);
    story.open(process, AWS);
    story.wait(60 * SECOND);
    story.open(process, "/srv/token");
    story.open(child, AWS);
    let played = story.play();
    let lines = played.lines();
    let late = lines.iter().filter(|line| line.starts_with("A completed")).collect::<Vec<_>>();
    assert_eq!(
        late,
        ["A completed kubernetes:shop:till kubernetes:shop/Deployment/till"],
        "told once: {lines:#?}"
    );
    let actors: Vec<(u32, &str)> = played
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Acted(acted) => Some((acted.action.process.key.tgid, acted.action.actor.id.as_str())),
            Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
        })
        .collect();
    assert_eq!(
        actors,
        [(200, "container:cri:aaaaaaaaaaaa"), (200, "kubernetes:shop:till"), (201, "kubernetes:shop:till")]
    );
}

#[test]
fn a_chain_that_acts_no_more_is_told_anew_once_its_pod_is_known() {
    let (mut story, shell) = Scenario::begin();
    let open = contained(&mut story, shell, 200, &in_pod(POD_SOON, 'a'));
    let ended = contained(&mut story, shell, 201, &in_pod(POD_SOON, 'b'));
    let never = contained(&mut story, shell, 202, &in_pod(&POD.replace('6', "5"), 'c'));
    for process in [open, ended, never] {
        story.open(process, AWS);
    }
    story.exit(ended, 0);
    story.tick();
    story.wait(4 * SECOND);
    story.tick();
    story.wait(2 * SECOND);
    story.tick();
    story.tick();
    story.exit(open, 0);
    story.tick();
    let played = story.play();
    let lines = played.lines();
    let of = |chain: &str| {
        let of: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(chain)).collect();
        of.iter().filter(|line| !line.starts_with("20")).map(|line| (*line).to_owned()).collect::<Vec<_>>()
    };
    let named = "completed kubernetes:shop:till kubernetes:shop/Deployment/till";
    let told = "opened container:cri:bbbbbbbbbbbb container:cri root";
    assert_eq!(of("B "), [told, "closed run-ended 2+0", named], "after its end, and once: {lines:#?}");
    let told = "opened container:cri:aaaaaaaaaaaa container:cri root";
    assert_eq!(of("A "), [told, named, "closed run-ended 2+0"], "{lines:#?}");
    assert_eq!(of("C ").len(), 1, "what nobody knows is not told anew: {lines:#?}");
    let closed = played.notes.iter().find_map(|note| match note {
        Note::Closed(closed) => (closed.actor.id == "kubernetes:shop:till").then_some(closed.reason),
        Note::Opened(_) | Note::Acted(_) | Note::Completed(_) | Note::Gap(_) => None,
    });
    assert_eq!(closed, Some(CloseReason::RunEnded), "the end has the names that were known by then");
}

#[test]
fn a_container_may_be_named_after_its_pod() {
    let (mut story, shell) = Scenario::begin();
    let process = contained(&mut story, shell, 200, &in_pod(POD_SOON, 'e'));
    story.open(process, AWS);
    for pause in [6, 6] {
        story.wait(pause * SECOND);
        story.tick();
        story.open(process, "/srv/token");
    }
    let played = story.play();
    let told: Vec<Option<&str>> = played
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Acted(acted) => acted.action.actor.pod.as_ref().map(|pod| pod.container.as_deref()),
            Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
        })
        .collect();
    let lines = played.lines();
    assert_eq!(told, [None, None, Some("till")], "{lines:#?}");
    let completed = lines.iter().filter(|line| line.starts_with("A completed kubernetes:shop:till"));
    assert_eq!(completed.count(), 2, "the pod, and then the container: {lines:#?}");
}

#[test]
fn names_are_not_looked_for_for_ever() {
    let (mut story, shell) = Scenario::begin();
    let process = contained(&mut story, shell, 200, &in_pod(POD_LATE, 'a'));
    story.open(process, AWS);
    story.exit(process, 0);
    // The pod is known after 30 s, which is when its chain was given up.
    for _ in 0..70 {
        story.wait(SECOND);
        story.tick();
    }
    let lines = story.play().lines();
    assert!(!lines.iter().any(|line| line.contains("completed")), "{lines:#?}");
}
