//! Jobs of CI runners, AI agents and their tools, daemons without units.

use super::people::{acted, runs};
use crate::event::ProcessKey;
use crate::pipeline::scenario::{ALICE, BACKUP, JENKINS, SECOND, Scenario};

const AWS: &str = "/home/backup/.aws/credentials";
/// As every story begins.
const INIT: ProcessKey = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
const GITHUB: &str = "/system.slice/actions.runner.acme-shop.node7.service";

/// A process without a login in a cgroup, running something as a user.
fn placed(
    story: &mut Scenario,
    maker: ProcessKey,
    (tgid, uid): (u32, u32),
    cgroup: &str,
    argv: &[&str],
) -> ProcessKey {
    let process = story.fork(maker, tgid);
    story.move_to(process, 5000, cgroup);
    story.become_user(process, uid);
    story.exec_with(process, argv[0], argv);
    process
}

fn logged_in(story: &mut Scenario, maker: ProcessKey, tgid: u32) -> ProcessKey {
    let bash = story.fork(maker, tgid);
    story.login(bash, ALICE, 3);
    story.move_to(bash, 6000, "/user.slice/user-1000.slice/session-3.scope");
    story.become_user(bash, ALICE);
    story.exec(bash, "/usr/bin/bash");
    bash
}

#[test]
fn each_job_of_a_runner_is_a_run() {
    let (mut story, shell) = Scenario::begin();
    let listener =
        placed(&mut story, shell, (200, BACKUP), GITHUB, &["/opt/runner/bin/Runner.Listener", "run"]);
    story.open(listener, AWS);
    for tgid in [210, 220] {
        let worker = story.fork(listener, tgid);
        story.exec_with(worker, "/opt/runner/bin/Runner.Worker", &["Runner.Worker", "spawnclient", "1", "2"]);
        let step = story.run(worker, tgid + 1, BACKUP, "/usr/bin/bash");
        // What a step calls so is a step.
        let fake = story.run(step, tgid + 2, BACKUP, "/home/backup/work/Runner.Worker");
        for process in [worker, step, fake] {
            story.open(process, AWS);
        }
    }
    let played = story.play();
    let mut expected = vec!["systemd:actions.runner.acme-shop.node7.service init backup"];
    expected.extend(["ci:github:backup:acme-shop ci:github backup"; 6]);
    assert_eq!(acted(&played), expected);
    assert_eq!(runs(&played), 3, "the runner's and two jobs");
}

#[test]
fn a_name_alone_makes_no_runner() {
    let (mut story, shell) = Scenario::begin();
    let web = "/system.slice/web.service";
    let broken = placed(&mut story, shell, (200, BACKUP), web, &["/usr/sbin/web"]);
    let fake = placed(&mut story, broken, (201, BACKUP), web, &["/tmp/gitlab-runner", "run"]);
    let below = placed(&mut story, fake, (202, BACKUP), web, &["/usr/bin/dash"]);
    story.open(below, AWS);
    let fake = placed(&mut story, broken, (203, BACKUP), web, &["/tmp/Runner.Worker"]);
    story.open(fake, AWS);
    // The daemon itself, which init started, executes one in its own place.
    let main = placed(&mut story, INIT, (204, BACKUP), web, &["/tmp/gitlab-runner", "run"]);
    let below = placed(&mut story, main, (205, BACKUP), web, &["/usr/bin/dash"]);
    story.open(below, AWS);
    let bash = logged_in(&mut story, shell, 210);
    let own = story.run(bash, 211, ALICE, "/home/alice/Runner.Worker");
    story.open(own, AWS);
    // Its own unit's name is not enough for a user's systemd, where the user names the units.
    let of_user = "/user.slice/user-1000.slice/user@1000.service/app.slice/gitlab-runner.service";
    let runner = placed(&mut story, shell, (220, ALICE), of_user, &["/usr/bin/gitlab-runner", "run"]);
    let job = placed(&mut story, runner, (221, ALICE), of_user, &["/usr/bin/bash"]);
    story.open(job, AWS);
    assert_eq!(
        acted(&story.play()),
        [
            "systemd:web.service init backup",
            "systemd:web.service init backup",
            "systemd:web.service init backup",
            "session:alice:3 login alice by alice in 3 from 10.0.0.5",
            "user-unit:alice:gitlab-runner.service user-manager:alice alice",
        ]
    );
}

#[test]
fn runners_of_every_kind() {
    let (mut story, shell) = Scenario::begin();
    let mut tgid = 200;
    let mut job = |story: &mut Scenario, unit: &str, runner: &[&str], job: &[&str]| {
        let runner = placed(story, shell, (tgid, BACKUP), unit, runner);
        let job = placed(story, runner, (tgid + 1, BACKUP), unit, job);
        story.open(job, AWS);
        tgid += 10;
    };
    let gitlab = "/system.slice/gitlab-runner.service";
    job(
        &mut story,
        gitlab,
        &["/usr/bin/gitlab-runner", "run", "--config", "x"],
        &["/usr/bin/bash", "--login"],
    );
    job(&mut story, gitlab, &["/usr/bin/gitlab-runner", "verify"], &["/usr/bin/bash", "--login"]);
    let jenkins = "/system.slice/jenkins-agent.service";
    let script = "cp '/var/lib/jenkins/workspace/shop/main@tmp/durable-1f2e/script.sh' x";
    job(&mut story, jenkins, &["/usr/bin/java", "-jar", "/opt/agent.jar"], &["/usr/bin/sh", "-c", script]);
    job(&mut story, jenkins, &["/usr/bin/java", "-jar", "/opt/other.jar"], &["/usr/bin/sh", "-c", script]);
    let kite = "/system.slice/buildkite-agent.service";
    job(&mut story, kite, &["/usr/bin/buildkite-agent", "start"], &["/usr/bin/buildkite-agent", "bootstrap"]);
    job(
        &mut story,
        "/system.slice/forgejo-runner.service",
        &["/usr/bin/forgejo-runner", "daemon"],
        &["/bin/bash"],
    );
    job(
        &mut story,
        "/system.slice/vsts.agent.acme.pool.n7.service",
        &["/a/Agent.Listener"],
        &["/a/Agent.Worker"],
    );
    assert_eq!(
        acted(&story.play()),
        [
            "ci:gitlab:backup ci:gitlab backup",
            "systemd:gitlab-runner.service init backup",
            "ci:jenkins:backup:shop/main ci:jenkins backup",
            "systemd:jenkins-agent.service init backup",
            "ci:buildkite:backup ci:buildkite backup",
            "ci:forgejo:backup ci:forgejo backup",
            "ci:azure:backup:acme.pool ci:azure backup",
        ]
    );
}

#[test]
fn a_runner_that_is_roots_changes_to_the_jobs_user_first() {
    let (mut story, shell) = Scenario::begin();
    let unit = "/system.slice/ci.service";
    let runner = placed(&mut story, shell, (200, 0), unit, &["/usr/bin/gitlab-runner", "run"]);
    let su = placed(&mut story, runner, (201, 0), unit, &["/usr/bin/su", "backup", "-c", "bash --login"]);
    story.open(su, AWS);
    let bash = story.run(su, 202, BACKUP, "/usr/bin/bash");
    // `su` opens a session for it.
    story.move_to(bash, 7000, "/user.slice/user-34.slice/session-c1.scope");
    story.exec(bash, "/usr/bin/bash");
    story.open(bash, AWS);
    let played = story.play();
    assert_eq!(acted(&played), ["systemd:ci.service init root", "ci:gitlab:backup ci:gitlab backup"]);
}

#[test]
fn a_runner_that_its_controller_logs_in_to_start() {
    let (mut story, shell) = Scenario::begin();
    let ssh = story.run(shell, 200, 0, "/usr/sbin/sshd");
    let runner = |story: &mut Scenario, tgid: u32, login: u32, user: u32| {
        let java = story.fork(ssh, tgid);
        story.login(java, login, 4);
        story.become_user(java, user);
        story.exec_with(java, "/usr/bin/java", &["java", "-jar", "remoting.jar", "-workDir", "/srv"]);
        let job = story.run(java, tgid + 1, user, "/usr/bin/dash");
        story.open(job, AWS);
    };
    runner(&mut story, 210, JENKINS, JENKINS);
    runner(&mut story, 220, ALICE, ALICE);
    runner(&mut story, 230, ALICE, JENKINS);
    assert_eq!(
        acted(&story.play()),
        [
            "ci:jenkins:jenkins ci:jenkins jenkins",
            "session:alice:4 login alice by alice in 4 from ?",
            "user:jenkins:/usr/bin/java human:alice jenkins by alice in 4 from ?",
        ],
        "only the runner's own user is one, and not by another's login"
    );
}

#[test]
fn what_an_agent_starts_is_a_unit_of_its_own() {
    let (mut story, shell) = Scenario::begin();
    let bash = logged_in(&mut story, shell, 200);
    story.open(bash, AWS);
    let agent = story.fork(bash, 201);
    story.exec_with(agent, "/usr/bin/node", &["node", "/home/alice/.npm/@anthropic-ai/claude-code/cli.js"]);
    let worker = story.fork(agent, 202);
    let call = story.fork(agent, 210);
    story.exec_with(
        call,
        "/usr/bin/bash",
        &["/bin/bash", "-c", "-l", "source /x.sh && eval 'git push' < /dev/null"],
    );
    let git = story.run(call, 211, ALICE, "/usr/bin/git");
    let again = story.fork(agent, 212);
    story.exec_with(again, "/usr/bin/bash", &["/bin/bash", "-c", "git fetch"]);
    let server = story.fork(agent, 213);
    story.exec_with(server, "/usr/bin/node", &["node", "/usr/bin/npx", "-y", "@acme/mcp-files"]);
    let odd = story.fork(agent, 214);
    story.exec_with(odd, "/usr/bin/uvx", &["uvx", "--from", "git+https://x:hunter2@example.com/x", "x"]);
    let other = story.run(git, 215, ALICE, "/home/alice/.local/bin/codex");
    let below = story.run(other, 216, ALICE, "/usr/bin/curl");
    for process in [agent, worker, call, git, again, server, odd, other, below] {
        story.open(process, AWS);
    }
    let played = story.play();
    let by = "alice by alice in 3 from 10.0.0.5";
    assert_eq!(
        acted(&played),
        [
            format!("session:alice:3 login {by}"),
            format!("ai:claude:alice human:alice {by}"),
            format!("ai:claude:alice human:alice {by}"),
            format!("ai:claude:alice:git ai:claude {by}"),
            format!("ai:claude:alice:git ai:claude {by}"),
            format!("ai:claude:alice:git ai:claude {by}"),
            format!("ai:claude:alice:@acme/mcp-files ai:claude {by}"),
            format!("ai:claude:alice:/usr/bin/uvx ai:claude {by}"),
            format!("ai:codex:alice ai:claude {by}"),
            format!("ai:codex:alice:/usr/bin/curl ai:codex {by}"),
        ]
    );
    assert_eq!(runs(&played), 8, "two calls of one program are two runs");
    let marked: Vec<u32> = played.wishes.iter().map(|wish| wish.key.tgid).collect();
    assert!(
        [201, 210, 211, 213].iter().all(|tgid| marked.contains(tgid)),
        "its connections are followed: {marked:?}"
    );
    assert!(!marked.contains(&200), "a person's are not");
}

#[test]
fn a_container_that_a_tool_starts_is_no_part_of_the_tool() {
    let (mut story, shell) = Scenario::begin();
    let bash = logged_in(&mut story, shell, 200);
    let agent = story.run(bash, 201, ALICE, "/home/alice/.local/bin/claude");
    let podman = story.run(agent, 202, ALICE, "/usr/bin/podman");
    let inside = "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-";
    let main = story.fork_first(podman, 203);
    story.move_to(main, 6100, &format!("{inside}{}.scope/container", "a".repeat(64)));
    story.exec(main, "/usr/bin/web");
    // A twin: an agent in a container, and its tool beside it.
    let other = story.fork_first(shell, 210);
    story.move_to(other, 6200, &format!("/docker/{}", "b".repeat(64)));
    story.exec(other, "/usr/bin/claude");
    let tool = story.run(other, 211, 0, "/usr/bin/git");
    for process in [podman, main, other, tool] {
        story.open(process, AWS);
    }
    let played = story.play();
    assert_eq!(
        acted(&played),
        [
            "ai:claude:alice:/usr/bin/podman ai:claude alice by alice in 3 from 10.0.0.5",
            "container:podman:alice:aaaaaaaaaaaa human:alice alice by alice in 3 from 10.0.0.5",
            "container:docker:bbbbbbbbbbbb container:docker root",
            "container:docker:bbbbbbbbbbbb ai:claude root",
        ]
    );
    assert_eq!(runs(&played), 4);
}

#[test]
fn an_agents_name_takes_nothing_away() {
    let (mut story, shell) = Scenario::begin();
    let web = "/system.slice/web.service";
    let broken = placed(&mut story, shell, (200, BACKUP), web, &["/usr/sbin/web"]);
    let fake = placed(&mut story, broken, (201, BACKUP), web, &["/tmp/claude"]);
    story.open(fake, AWS);
    let call = placed(&mut story, fake, (202, BACKUP), web, &["/usr/bin/curl"]);
    story.open(call, AWS);
    let cron = story.run(shell, 210, 0, "/usr/sbin/cron");
    let job = story.run(cron, 211, BACKUP, "/usr/local/bin/aider");
    story.open(job, AWS);
    // A tool of another trade with an agent's name.
    let bash = logged_in(&mut story, shell, 220);
    let migration = story.fork(bash, 221);
    story.exec_with(migration, "/usr/bin/goose", &["goose", "postgres", "up"]);
    story.open(migration, AWS);
    let goose = story.fork(bash, 222);
    story.exec_with(goose, "/usr/bin/goose", &["goose", "session"]);
    story.open(goose, AWS);
    let nobody = story.run(shell, 230, BACKUP, "/usr/bin/opencode");
    story.open(nobody, AWS);
    let by = "alice by alice in 3 from 10.0.0.5";
    assert_eq!(
        acted(&story.play()),
        [
            "systemd:web.service init backup".to_owned(),
            "systemd:web.service ai:claude backup".to_owned(),
            "cron:backup:/usr/local/bin/aider cron backup".to_owned(),
            format!("session:alice:3 login {by}"),
            format!("ai:goose:alice human:alice {by}"),
            "ai:opencode:backup init backup".to_owned(),
        ]
    );
}

#[test]
fn daemons_of_a_host_without_units() {
    let (mut story, shell) = Scenario::begin();
    let init = INIT;
    // As rc scripts do: a shell of init's runs the script, which starts the daemon and ends.
    let script = story.run(init, 200, 0, "/bin/sh");
    let web = story.run(script, 201, BACKUP, "/usr/sbin/web");
    story.exit(script, 0);
    let worker = story.fork(web, 202);
    let other = story.run(init, 203, 0, "/usr/sbin/syslogd");
    // A twin that a person started by hand.
    let bash = story.fork(shell, 210);
    story.login(bash, ALICE, 3);
    story.exec(bash, "/bin/bash");
    let by_hand = story.run(bash, 211, BACKUP, "/usr/sbin/web");
    for process in [web, worker, other, by_hand] {
        story.open(process, AWS);
    }
    let played = story.play();
    assert_eq!(
        acted(&played),
        [
            "user:backup:/usr/sbin/web init backup",
            "user:backup:/usr/sbin/web init backup",
            "user:root:/usr/sbin/syslogd init root",
            "user:backup:/usr/sbin/web human:alice backup by alice in 3 from 10.0.0.5",
        ]
    );
    assert_eq!(runs(&played), 3);
}

mod any {
    use proptest::prelude::*;

    use super::SECOND;
    use super::{ALICE, AWS, BACKUP, Scenario};
    use crate::chain::{Limits, Note};
    use crate::event::{Event, ProcessKey, What};
    use crate::pipeline::scenario::stages;

    /// Who opened, by number of the process.
    fn actors(events: &[Event]) -> std::collections::BTreeMap<u32, String> {
        let mut stages = stages(Limits::default(), 10_000);
        let mut notes = Vec::new();
        events.iter().for_each(|event| stages.step(event, &mut notes, &mut Vec::new()));
        let told = notes.iter().filter_map(|note| match note {
            Note::Acted(acted) => Some((acted.action.process.key.tgid, acted.action.actor.id.clone())),
            Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
        });
        told.collect()
    }

    proptest! {
        /// A worker that executes nothing has its maker's actor, whatever else happens, and a daemon whose makers ended
        /// keeps its unit.
        #[test]
        fn workers_are_their_makers(
            steps in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<bool>()), 1..60),
        ) {
            let (mut story, shell) = Scenario::begin();
            let mut live: Vec<(ProcessKey, usize)> = Vec::new();
            let units = ["/system.slice/web.service", "/", "/system.slice/ci.service", "/"];
            let programs = ["/usr/sbin/web", "/usr/bin/job", "/usr/bin/gitlab-runner", "/usr/bin/claude"];
            for (index, unit) in units.iter().enumerate() {
                let tgid = 200 + u32::try_from(index).unwrap();
                let daemon = story.fork(shell, tgid);
                story.move_to(daemon, 3000 + u64::from(tgid), unit);
                story.become_user(daemon, if index == 3 { ALICE } else { BACKUP });
                story.exec_with(daemon, programs[index], &[programs[index], "run"]);
                live.push((daemon, index));
            }
            for (number, (who, what, ends)) in steps.iter().enumerate() {
                let at = usize::from(*who) % live.len();
                let (maker, kind) = live[at];
                let child = story.fork(maker, 300 + u32::try_from(number).unwrap());
                live.push((child, kind));
                if what % 3 == 0 {
                    story.wait(SECOND);
                }
                if *ends && at >= 4 {
                    story.exit(maker, 0);
                    live.remove(at);
                }
            }
            for (process, _) in &live {
                story.open(*process, AWS);
            }
            let told = actors(&story.events);
            let expected =
                ["systemd:web.service", "user:backup:/usr/bin/job", "systemd:ci.service", "ai:claude:alice"];
            for (process, kind) in live {
                prop_assert_eq!(told[&process.tgid].as_str(), expected[kind]);
            }
        }

        /// Rows of `/proc` come in any order, and say the same of whoever then acts.
        #[test]
        fn rows_in_any_order_say_the_same(order in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle()) {
            let mut story = Scenario::default();
            story.wait(1000 * SECOND);
            let init = story.seed(1, 10 * SECOND, None, "/usr/lib/systemd/systemd", &[]);
            let cron = story.seed(50, 20 * SECOND, Some(init), "/usr/sbin/cron", &[]);
            let job = story.seed(60, 30 * SECOND, Some(cron), "/usr/local/bin/job", &[]);
            let below = story.seed(61, 31 * SECOND, Some(job), "/usr/bin/curl", &[]);
            let agent = story.seed(70, 40 * SECOND, Some(init), "/usr/bin/opencode", &[]);
            let tool = story.seed(71, 41 * SECOND, Some(agent), "/usr/bin/git", &[]);
            let rows: Vec<Event> = story.events.drain(..).collect();
            for process in [job, below, agent, tool] {
                story.open(process, AWS);
            }
            let mut events: Vec<Event> = order.iter().map(|index| rows[*index].clone()).collect();
            prop_assert!(events.iter().all(|event| matches!(event.what, What::Seeded(_))));
            events.extend(story.events.iter().cloned());
            let told = actors(&events);
            let expected = [
                (60, "cron:root:/usr/local/bin/job"),
                (61, "cron:root:/usr/local/bin/job"),
                (70, "ai:opencode:root"),
                (71, "ai:opencode:root:/usr/bin/git"),
            ];
            for (tgid, id) in expected {
                prop_assert_eq!(told[&tgid].as_str(), id, "{}", tgid);
            }
        }
    }
}
