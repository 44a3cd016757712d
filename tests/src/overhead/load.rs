//! The work that is done, by the program `spoor-load`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{PATIENCE, Place};

/// A fixed piece of work.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) times: u32,
    /// Kinds of samples that each time must be told in, and how many.
    told: &'static [(&'static str, u32)],
}

const fn load(name: &'static str, times: u32, told: &'static [(&'static str, u32)]) -> Load {
    Load { name, times, told }
}

/// A connection of which both ends are watched.
const SERVED: &[(&str, u32)] = &[("accept", 1), ("accept.end", 1), ("connect", 1), ("connect.end", 1)];

/// All of it. Each takes some ten million instructions without a collector, and those of others some hundred million.
pub(super) static LOADS: [Load; 22] = [
    load("loop", 2_000, &[]),
    load("getpid", 50_000, &[]),
    load("open-plain", 2_000, &[]),
    load("open-missing", 2_000, &[]),
    load("open-secret", 500, &[("secret.open", 1)]),
    load("open-secrets", 512, &[("secret.open", 1)]),
    load("fork", 100, &[("fork", 1), ("exit", 1)]),
    load("exec", 100, &[("fork", 1), ("exec", 1), ("exit", 1)]),
    load("exec-true", 30, &[("fork", 1), ("exec", 1), ("exit", 1)]),
    load("connect", 300, &[]),
    load("connect-service", 300, SERVED),
    load("connect-held", 300, SERVED),
    load("send", 3_000, &[]),
    load("send-held", 3_000, &[]),
    // The same where hosts have their files.
    load("open-plain-disk", 2_000, &[]),
    load("open-secret-disk", 500, &[("secret.open", 1)]),
    // Programs of others, of which nobody says how many samples they are to be told in.
    load("tree-walk", 1, &[]),
    load("archive", 1, &[]),
    load("archive-disk", 1, &[]),
    load("compile", 1, &[]),
    load("redis-service", 1, &[]),
    load("nginx-service", 1, &[]),
];

/// The work of those names, with commas between them; or all.
pub(super) fn named(names: Option<&str>) -> Result<Vec<&'static Load>> {
    let Some(names) = names else { return Ok(LOADS.iter().collect()) };
    let known = |name| LOADS.iter().find(|load| load.name == name);
    names.split(',').map(|name| known(name).with_context(|| format!("there is no work {name:?}"))).collect()
}

/// In memory, as all of the guest's files.
const DIRECTORY: &str = "/srv/load";
/// Where the credentials are that are opened.
pub(super) const SECRETS: &str = "/srv/load/secrets";
/// A file system on a disk, and a directory as deep in it as many are.
const MOUNTED: &str = "/srv/disk";
const DISK_DIRECTORY: &str = "/srv/disk/opt/app/data";
pub(super) const DISK_SECRETS: &str = "/srv/disk/opt/app/data/secrets";

/// A program that ends with success, and has no more than that takes: an ELF header, one segment, one call.
const SMALLEST: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\
    \x02\0\x3e\0\x01\0\0\0\x78\0\x40\0\0\0\0\0\x40\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\x40\0\x38\0\x01\0\0\0\0\0\0\0\
    \x01\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\0\
    \0\0\x40\0\0\0\0\0\x81\0\0\0\0\0\0\0\x81\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\
    \xb8\x3c\0\0\0\x31\xff\x0f\x05";

/// Makes the files that are opened, and the program that is executed.
pub(super) fn make_ready(place: &Place) -> Result<()> {
    fs::create_dir_all(SECRETS)?;
    for one in 0..256 {
        fs::write(format!("{SECRETS}/{one}"), "no secret\n")?;
    }
    fs::write(format!("{DIRECTORY}/plain"), "no secret\n")?;
    let smallest = format!("{DIRECTORY}/smallest");
    fs::write(&smallest, SMALLEST)?;
    fs::set_permissions(&smallest, fs::Permissions::from_mode(0o755))?;
    let ended = Command::new(&smallest).status().context("the smallest program")?;
    ensure!(ended.success(), "the smallest program ended with {ended}");
    ensure!(program(place).exists(), "no {}", program(place).display());
    Ok(())
}

/// The same on a disk that is empty when the guest boots.
pub(super) fn make_disk_ready() -> Result<()> {
    const DISK: &str = "/dev/nvme0n1";
    let begun = Instant::now();
    while !Path::new(DISK).exists() {
        ensure!(begun.elapsed() < PATIENCE, "no {DISK}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    // Nothing is left to be done in the background.
    let now = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", DISK];
    run(Command::new("/sbin/mkfs.ext4").args(now))?;
    fs::create_dir_all(MOUNTED)?;
    mount(Some(DISK), MOUNTED, Some("ext4"), MsFlags::MS_NOATIME, None::<&str>).context("mount the disk")?;
    fs::create_dir_all(DISK_SECRETS)?;
    fs::write(format!("{DISK_SECRETS}/0"), "no secret\n")?;
    fs::write(format!("{DISK_DIRECTORY}/plain"), "no secret\n")?;
    run(Command::new("/bin/cp").args(["-a", "/usr/share", &format!("{DISK_DIRECTORY}/tree")]))?;
    nix::unistd::sync();
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

pub(super) fn program(place: &Place) -> PathBuf {
    place.act.with_file_name("spoor-load")
}

/// What a piece of work says that it cost.
#[derive(Debug, Deserialize)]
pub(super) struct Own {
    pub(super) elapsed_ns: u64,
    pub(super) own_ns: u64,
}

/// A process that works when it is told to.
pub(super) struct AtWork {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Load {
    /// Starts it, and waits until it is ready and warm.
    pub(super) fn start(&self, place: &Place) -> Result<AtWork> {
        let (work, directory) = match self.name.strip_suffix("-disk") {
            Some(work) => (work, DISK_DIRECTORY),
            None => (self.name, DIRECTORY),
        };
        let mut child = Command::new(program(place))
            .args([work, &self.times.to_string(), directory])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().context("standard output was asked for")?);
        let mut at_work = AtWork { child, said };
        let line = at_work.line()?;
        ensure!(line == "ready", "it said {line:?}");
        Ok(at_work)
    }

    /// Samples that the work is to be told in, by kind.
    pub(super) fn made(&self) -> Value {
        self.told.iter().map(|(kind, each)| ((*kind).to_owned(), json!(each * self.times))).collect()
    }
}

impl AtWork {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Has it work.
    pub(super) fn go(&mut self) -> Result<Own> {
        self.child.stdin.as_mut().context("standard input was asked for")?.write_all(b"\n")?;
        let line = self.line()?;
        serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))
    }

    pub(super) fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let ended = self.child.wait()?;
        ensure!(ended.success(), "it ended with {ended}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_chosen_by_name() {
        let names = |names| -> Result<Vec<&str>> { Ok(named(names)?.iter().map(|load| load.name).collect()) };
        assert_eq!(names(None).unwrap().len(), LOADS.len());
        assert_eq!(names(Some("exec,open-plain-disk")).unwrap(), ["exec", "open-plain-disk"]);
        assert!(names(Some("exec,opens")).is_err());
    }
}
