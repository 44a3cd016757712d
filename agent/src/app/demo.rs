//! `spoor run --demo`: the scenario of the README, on this very kernel, in a scope of its own. Nothing else on the host
//! is watched, and nothing is left behind.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::User;
use tokio::sync::watch;

use super::{Failure, RunOptions, run_until, style};
use crate::config::{Config, Scope};
use crate::kernel::{Cgroups, inspect};
use crate::record::View;
use crate::report::{Format, show};
use crate::store::Reader;

/// First argument of the demo's parts. Not for people.
pub const ENTER_ARGUMENT: &str = "__demo-enter";
/// The job, which opens the credentials.
pub const JOB_ARGUMENT: &str = "__demo-job";
/// What the job starts, which connects.
pub const UPLOAD_ARGUMENT: &str = "__demo-upload";

/// How long the demo waits for its own chain.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of the vendors' documentation: these open nothing.
const AWS: &str = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
                   aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";

/// What the demo makes, and takes away again.
struct Stage {
    directory: PathBuf,
    cgroup: PathBuf,
    cgroup_path: String,
    user: User,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (what, outcome) in [
            (&self.directory, fs::remove_dir_all(&self.directory)),
            (&self.cgroup, fs::remove_dir(&self.cgroup)),
        ] {
            if let Err(error) = outcome {
                tracing::warn!("{} is left behind: {error}", what.display());
            }
        }
    }
}

/// Plays the scenario, shows it being drawn, and then as a person would look it up.
///
/// # Errors
/// [`Failure`]
pub fn run() -> Result<(), Failure> {
    // Whether this host and user can run it at all is said before anything is made.
    inspect()?;
    let stage = Stage::set()?;
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::system("listen on loopback"))?;
    let accepts = listener.local_addr().map_err(Failure::system("listen on loopback"))?.port();
    stage.furnish(accepts).map_err(Failure::system("prepare the demo"))?;
    let mut config =
        Config { scope: Scope { cgroups: vec![stage.cgroup_path.clone()] }, ..Config::default() };
    config.store.path = stage.directory.join("store");
    let ready = stage.directory.join("ready");
    let options = RunOptions { config, ready_file: Some(ready.clone()), live: true, ..RunOptions::default() };
    println!(
        "spoor watches one cgroup, {}. A service account's job is about to run in it.\n",
        stage.cgroup_path
    );
    let (stop, stopped) = watch::channel(false);
    let store = options.config.store.path.clone();
    let (outcome, played) = std::thread::scope(|scope| {
        let player = scope.spawn(|| {
            let played = stage.play(&ready, &store, accepts);
            // The daemon is gone only when it failed, and then it has its own word.
            let _ = stop.send(true);
            played
        });
        (run_until(&options, stopped), player.join())
    });
    outcome?;
    let chain = played
        .map_err(|_| io::Error::other("the player died"))
        .and_then(|played| played)
        .map_err(Failure::system("play the demo"))?;
    println!("\n$ spoor show {chain}\n");
    print!("{}", show(&Reader::open(&store)?, &chain, Format::Text, &style())?);
    Ok(())
}

impl Stage {
    fn set() -> Result<Self, Failure> {
        let user =
            ["backup", "daemon", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = user.ok_or_else(|| Failure::System {
            what: "find a user for the demo".into(),
            error: io::Error::other("this host has none of backup, daemon and nobody"),
        })?;
        let name = format!("spoor-demo-{}", std::process::id());
        let cgroup_path = format!("/{name}");
        let cgroup = Cgroups::find()?.directory(&cgroup_path);
        fs::create_dir(&cgroup).map_err(Failure::system(format!("make the cgroup {}", cgroup.display())))?;
        let directory = std::env::temp_dir().join(name);
        let stage = Stage { directory, cgroup, cgroup_path, user };
        fs::create_dir(&stage.directory)
            .map_err(Failure::system(format!("make the directory {}", stage.directory.display())))?;
        Ok(stage)
    }

    /// A home with two credentials, and two programs.
    fn furnish(&self, port: u16) -> io::Result<()> {
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o755))?;
        fs::create_dir(self.directory.join(".aws"))?;
        let pgpass = format!("127.0.0.1:{port}:orders:{}:not-a-real-password\n", self.user.name);
        for (name, content) in [(".aws/credentials", AWS), (".pgpass", &pgpass)] {
            let path = self.directory.join(name);
            fs::write(&path, content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
            chown(&path, Some(self.user.uid.as_raw()), Some(self.user.gid.as_raw()))?;
        }
        for program in ["nightly-backup", "upload"] {
            fs::copy("/proc/self/exe", self.directory.join(program))?;
        }
        Ok(())
    }

    /// Runs the job when the daemon is ready; gives the id of the chain that came of it.
    fn play(&self, ready: &Path, store: &Path, accepts: u16) -> io::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let wait = |done: &mut dyn FnMut() -> io::Result<Option<String>>| loop {
            if let Some(found) = done()? {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the demo's chain did not appear in time"));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        };
        wait(&mut || Ok(ready.exists().then(String::new)))?;
        // Nobody listens on the port that a closed listener has just given back.
        let refuses = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        // By its path and not by /proc/self/exe, so that the chain names its parent by its name.
        let status = Command::new(std::env::current_exe()?)
            .arg(ENTER_ARGUMENT)
            .arg(&self.cgroup)
            .args([self.user.uid.as_raw().to_string(), self.user.gid.as_raw().to_string()])
            .arg(&self.directory)
            .args([refuses.to_string(), accepts.to_string()])
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("the demo's job ended with {status}")));
        }
        let reader = Reader::open(store).map_err(io::Error::other)?;
        wait(&mut || {
            let records = reader.after(0, 1_000).map_err(io::Error::other)?;
            let closed = records.iter().filter_map(|record| View::parse(&record.body).ok()).find(|view| {
                view.text("status") == Some("closed")
                    && view.text("actor.id").is_some_and(|id| id.contains("backup"))
            });
            Ok(closed.and_then(|view| view.text("chain").map(str::to_owned)))
        })
    }
}

/// The demo's parts, by their first argument.
///
/// # Errors
/// Names what failed.
pub fn part(name: &str, arguments: &[String]) -> Result<(), String> {
    match (name, arguments) {
        (ENTER_ARGUMENT, [cgroup, uid, gid, home, refuses, accepts]) => {
            enter(cgroup, (uid, gid), home, refuses, accepts)
        }
        (JOB_ARGUMENT, [home, refuses, accepts]) => job(home, refuses, accepts),
        (UPLOAD_ARGUMENT, [refuses, accepts]) => {
            for port in [refuses, accepts] {
                let port: u16 = port.parse().map_err(|error| format!("port {port}: {error}"))?;
                // One of the two is meant to fail.
                drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
            }
            Ok(())
        }
        _ => Err(format!("{name} is a part of the demo")),
    }
}

fn enter(
    cgroup: &str,
    (uid, gid): (&str, &str),
    home: &str,
    refuses: &str,
    accepts: &str,
) -> Result<(), String> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0").map_err(|error| format!("{cgroup}: {error}"))?;
    let number = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
    let program = Path::new(home).join("nightly-backup");
    let status = Command::new(&program)
        .args([JOB_ARGUMENT, home, refuses, accepts])
        .uid(number(uid)?)
        .gid(number(gid)?)
        .status()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", program.display())) }
}

fn job(home: &str, refuses: &str, accepts: &str) -> Result<(), String> {
    let home = Path::new(home);
    for name in [".aws/credentials", ".pgpass"] {
        fs::read(home.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    let status = Command::new(home.join("upload")).args([UPLOAD_ARGUMENT, refuses, accepts]).status();
    status.map(drop).map_err(|error| format!("upload: {error}"))
}
