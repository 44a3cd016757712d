//! Who acts, on a Debian where a real systemd, cron, at and sshd start the actors.
//!
//! Each way of starting a program is a `Way`: the program reads a public file, which must leave no record, and then a
//! credential of that way's own, whose record must name the actor. Ways that are easily taken for one another stand
//! beside each other: a service with a timer and one without, a login and what it does as another account.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::is_action;
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, text};

/// One way to become an actor.
struct Way {
    /// Of the test, and of the files it reads.
    name: &'static str,
    /// What an administrator types.
    start: &'static [&'static str],
    /// Where the credential is opened, if not in [`SECRETS`].
    path: Option<&'static str>,
    id: Id,
    kind: &'static str,
    origin: &'static str,
    user: &'static str,
}

/// What is expected of `actor.id`.
enum Id {
    Is(&'static str),
    /// What follows is a number that the host chose.
    Begins(&'static str),
}

const SECRETS: &str = "/srv/secret";
const PUBLIC: &str = "/srv/public";
/// A program of the test by another name for each way, so that no way is taken for another.
const PROGRAMS: [&str; 5] = ["tool", "nightly", "once", "legacy", "as-service"];
const SSH: &str = "ssh -i /root/.ssh/id -o StrictHostKeyChecking=no -o BatchMode=yes alice@127.0.0.1 ";

const WAYS: &[Way] = &[
    Way {
        name: "plain",
        start: &["systemctl start plain.service"],
        path: None,
        id: Id::Is("systemd:plain.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "timed",
        start: &["systemctl start timed.timer"],
        path: None,
        id: Id::Is("systemd:timed.service"),
        kind: "systemd-service",
        origin: "timer:timed.timer",
        user: "backup",
    },
    Way {
        name: "template",
        start: &["systemctl start work@a.service"],
        path: None,
        id: Id::Is("systemd:work@a.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "dynamic",
        start: &["systemctl start dynamic.service"],
        path: None,
        id: Id::Is("systemd:dynamic.service"),
        kind: "systemd-service",
        origin: "init",
        user: "dynamic",
    },
    Way {
        name: "loaded",
        start: &["systemctl start loaded.service"],
        path: Some("/run/credentials/loaded.service/token"),
        id: Id::Is("systemd:loaded.service"),
        kind: "systemd-service",
        origin: "init",
        user: "backup",
    },
    Way {
        name: "legacy",
        start: &["systemctl start legacy.service"],
        path: None,
        id: Id::Is("systemd:legacy.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "of-a-user",
        start: &["systemctl start user@1000.service"],
        path: None,
        id: Id::Is("user-unit:alice:of-a-user.service"),
        kind: "user-service",
        origin: "user-manager:alice",
        user: "alice",
    },
    Way {
        name: "nightly",
        start: &["systemctl start cron.service"],
        path: None,
        id: Id::Is("cron:backup:/srv/bin/nightly"),
        kind: "cron",
        origin: "cron",
        user: "backup",
    },
    Way {
        name: "once",
        start: &[
            "systemctl start atd.service",
            "echo /srv/bin/once read /srv/public/once read /srv/secret/once | at now",
        ],
        path: None,
        // The shell reads the job from its standard input: its text is nowhere to be seen.
        id: Id::Is("cron:root:/usr/bin/dash"),
        kind: "cron",
        origin: "at",
        user: "root",
    },
    Way {
        name: "login",
        start: &["/srv/bin/ssh-login /srv/bin/tool read /srv/public/login read /srv/secret/login"],
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        origin: "login",
        user: "alice",
    },
    Way {
        name: "as-root",
        start: &["/srv/bin/ssh-login sudo /srv/bin/tool read /srv/public/as-root read /srv/secret/as-root"],
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        origin: "login",
        user: "root",
    },
    Way {
        name: "as-service",
        start: &[
            "/srv/bin/ssh-login sudo -u svc /srv/bin/as-service read /srv/public/as-service read /srv/secret/as-service",
        ],
        path: None,
        id: Id::Is("user:svc:/srv/bin/as-service"),
        kind: "system-user",
        origin: "human:alice",
        user: "svc",
    },
];

/// What is done before systemd is there: users, files, units.
///
/// # Errors
/// Where one cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "house\n")?;
    shell("useradd --create-home --shell /bin/bash --uid 1000 alice")?;
    shell("useradd --system --shell /usr/sbin/nologin svc")?;
    for directory in [SECRETS, PUBLIC, "/srv/bin"] {
        fs::create_dir_all(directory)?;
    }
    for way in WAYS {
        for directory in [SECRETS, PUBLIC] {
            fs::write(Path::new(directory).join(way.name), format!("{}\n", super::SECRET))?;
        }
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
    let mut agent = Agent::start(place, "house", &format!("[credentials]\npaths = [\"{SECRETS}/*\"]\n"))?;
    for way in WAYS {
        match take(way, &mut agent.records) {
            Ok(()) => place.say(&format!("PASS actor-{}", way.name)),
            Err(error) => {
                let error = format!("{error:#}").replace('\n', "\n    ");
                place.say(&format!("FAIL actor-{}: {error}", way.name));
            }
        }
    }
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
    Ok(())
}

fn script(path: &str, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn shell(command: &str) -> Result<()> {
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
