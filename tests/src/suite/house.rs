//! Who acts, on a Debian where a real systemd, cron, at and sshd start the actors.
//!
//! Each way of starting a program is a `Way`: the program reads a public file, which must leave no record, and then a
//! credential of that way's own, whose record must name the actor. Ways that are easily taken for one another stand
//! beside each other: a service with a timer and one without, a login and what it does as another account.
//!
//! Then, in `again`, what systemd does a second time; and in `people`, who opens what is a service's own.

mod again;
mod people;
mod ways;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::ways::{Id, WAYS, Way};
use super::{is_action, verdict};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, text};

const SECRETS: &str = "/srv/secret";
const PUBLIC: &str = "/srv/public";
/// A program of the test by another name for each way, so that no way is taken for another.
const PROGRAMS: [&str; 8] =
    ["tool", "nightly", "once", "legacy", "as-service", "as-su", "codex", "Runner.Worker"];
const SSH: &str = "ssh -i /root/.ssh/id -o StrictHostKeyChecking=no -o BatchMode=yes alice@127.0.0.1 ";

/// What is done before systemd is there: users, files, units.
///
/// # Errors
/// Where one cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "house\n")?;
    shell("useradd --create-home --shell /bin/bash --uid 1000 alice")?;
    shell("useradd --system --shell /usr/sbin/nologin svc")?;
    for directory in [SECRETS, PUBLIC, again::TURNS, "/srv/bin"] {
        fs::create_dir_all(directory)?;
    }
    for way in WAYS {
        for directory in [SECRETS, PUBLIC] {
            fs::write(Path::new(directory).join(way.name), format!("{}\n", super::SECRET))?;
        }
    }
    fs::write(Path::new(SECRETS).join("ai-maker"), format!("{}\n", super::SECRET))?;
    for job in again::JOBS {
        fs::write(Path::new(SECRETS).join(job), format!("{}\n", super::SECRET))?;
    }
    for program in PROGRAMS {
        fs::copy("/spoor/spoor-act", Path::new("/srv/bin").join(program))?;
    }
    script("/srv/bin/ssh-login", &format!("#!/bin/sh\nexec {SSH} \"$@\"\n"))?;
    units()?;
    shell("mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id")?;
    shell(
        "install -d -m 700 -o alice /home/alice/.ssh && install -m 600 -o alice /root/.ssh/id.pub /home/alice/.ssh/authorized_keys",
    )?;
    fs::write("/etc/sudoers.d/alice", "alice ALL=(ALL) NOPASSWD: ALL\n")?;
    // These start when the agent is there to see.
    for unit in ["cron.service", "atd.service"] {
        fs::remove_file(format!("/etc/systemd/system/multi-user.target.wants/{unit}")).ok();
    }
    Ok(())
}

fn units() -> Result<()> {
    let system = Path::new("/etc/systemd/system");
    let service = |name: &str, more: &str| {
        let reads = format!("/srv/bin/tool read {PUBLIC}/{name} read {SECRETS}/{name}");
        format!("[Service]\nType=oneshot\nExecStart={reads}\n{more}\n")
    };
    fs::write(system.join("plain.service"), service("plain", ""))?;
    fs::write(system.join("timed.service"), service("timed", "User=backup"))?;
    fs::write(system.join("timed.timer"), "[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\n")?;
    fs::write(system.join("work@.service"), service("template", ""))?;
    fs::write(system.join("dynamic.service"), service("dynamic", "DynamicUser=yes"))?;
    let loaded = format!(
        "[Service]\nType=oneshot\nUser=backup\nLoadCredential=token:{SECRETS}/loaded\n\
         ExecStart=/srv/bin/tool read {PUBLIC}/loaded read %d/token\n"
    );
    fs::write(system.join("loaded.service"), loaded)?;
    fs::write(system.join("fixed.service"), service("fixed", "User=svc"))?;
    fs::write(system.join("unloaded.service"), service("unloaded", "User=backup"))?;
    fs::write(system.join("listening.service"), service("listening", "User=backup"))?;
    // The program takes no connection: what waits is let go, or systemd would start it again for that.
    let socket = "[Socket]\nListenStream=127.0.0.1:7007\nFlushPending=yes\n";
    fs::write(system.join("listening.socket"), socket)?;
    fs::create_dir_all(system.join("sockets.target.wants"))?;
    symlink("../listening.socket", system.join("sockets.target.wants/listening.socket"))?;
    again::units(system)?;
    people::before_boot(system)?;
    let runner = service("runner", "User=backup").replace("/srv/bin/tool", "/srv/bin/Runner.Worker");
    fs::write(system.join("actions.runner.acme-shop.node7.service"), runner)?;
    let legacy = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: legacy\n# Required-Start:\n# Required-Stop:\n\
        # Default-Start: 2 3 4 5\n# Default-Stop:\n### END INIT INFO\n\
        /srv/bin/legacy read /srv/public/legacy read /srv/secret/legacy\n";
    script("/etc/init.d/legacy", legacy)?;
    let of_user = Path::new("/etc/systemd/user");
    fs::create_dir_all(of_user.join("default.target.wants"))?;
    fs::write(of_user.join("of-a-user.service"), service("of-a-user", ""))?;
    symlink("/etc/systemd/user/of-a-user.service", of_user.join("default.target.wants/of-a-user.service"))?;
    let job = "@reboot backup /srv/bin/nightly read /srv/public/nightly read /srv/secret/nightly\n";
    fs::write("/etc/cron.d/nightly", job)?;
    Ok(())
}

/// Starts each way and asks the records who acted. One verdict a way.
///
/// # Errors
/// Where the agent does not start.
pub fn house(place: &Place) -> Result<()> {
    let config = format!("[credentials]\npaths = [\"{SECRETS}/*\"]\n{}", people::CONFIG);
    let mut agent = Agent::start(place, "house", &config)?;
    for way in WAYS {
        verdict(place, &format!("actor-{}", way.name), take(way, &mut agent.records));
    }
    verdict(place, "run-of-a-tool", run_of_its_own(&agent.records));
    verdict(place, "attempt-restarted", again::restarted(place, &mut agent));
    verdict(place, "attempt-scheduled", again::scheduled(&mut agent.records));
    people::people(place, &mut agent);
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let public = records.all.iter().find(|record| text(record, "file.path").starts_with(PUBLIC));
    ensure!(public.is_none(), "a public file left a record: {public:?}");
    ensure!(!records.shown().contains(super::SECRET), "the secret left its file");
    Ok(())
}

fn take(way: &Way, records: &mut Records) -> Result<()> {
    for command in way.start {
        shell(command)?;
    }
    let path = way.path.map_or_else(|| format!("{SECRETS}/{}", way.name), str::to_owned);
    // systemd itself opens what it loads for a service: that is another's doing.
    let by_ours = |exe: &str| exe.starts_with("/srv/bin/");
    let opened = records.wait(&format!("the opening of {path}"), |record| {
        is_action(record, "secret.open")
            && text(record, "file.path") == path
            && by_ours(text(record, "process.exe"))
    })?;
    let id = text(&opened, "actor.id");
    let is_right = match way.id {
        Id::Is(expected) => id == expected,
        Id::Begins(expected) => id.strip_prefix(expected).is_some_and(|number| number.parse::<u32>().is_ok()),
    };
    ensure!(is_right, "the actor is {id}: {opened}");
    for (field, expected) in
        [("actor.kind", way.kind), ("actor.origin", way.origin), ("actor.user", way.user)]
    {
        let found = text(&opened, field);
        ensure!(found == expected, "{field} is {found}, not {expected}: {opened}");
    }
    // Whoever came in by ssh stays visible, whatever is done with that login.
    let by_ssh = way.start.iter().any(|command| command.starts_with("/srv/bin/ssh-login"));
    let person = (text(&opened, "actor.human.user"), text(&opened, "actor.human.from"));
    let expected = if by_ssh { ("alice", "127.0.0.1") } else { ("", "") };
    ensure!(person == expected, "the person is {person:?}, not {expected:?}: {opened}");
    let session = text(&opened, "actor.human.session");
    ensure!(session.parse::<u32>().is_ok() == by_ssh, "the person's session is {session:?}: {opened}");
    let told = id.strip_prefix("session:alice:");
    ensure!(told.is_none_or(|told| told == session), "the session is {session:?} of {id}");
    Ok(())
}

/// An AI agent and the tool that it started are two runs.
fn run_of_its_own(records: &Records) -> Result<()> {
    let run = |name: &str| {
        let path = format!("{SECRETS}/{name}");
        let is = |record: &&Value| is_action(record, "secret.open") && text(record, "file.path") == path;
        let found = records.all.iter().find(is).with_context(|| format!("nobody opened {path}"))?;
        Ok::<_, anyhow::Error>((text(found, "actor.id").to_owned(), text(found, "run").to_owned()))
    };
    let (agent, tool) = (run("ai-maker")?, run("ai-tool")?);
    ensure!(agent.0 == "ai:codex:alice", "the agent is {}", agent.0);
    ensure!(agent.1 != tool.1, "the agent and its tool are one run: {}", agent.1);
    Ok(())
}

pub(super) fn script(path: &str, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

pub(super) fn shell(command: &str) -> Result<()> {
    let done = Command::new("/bin/sh").args(["-c", command]).output().context("a shell cannot be started")?;
    ensure!(
        done.status.success(),
        "`{command}` failed with {}: {}{}",
        done.status,
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}
