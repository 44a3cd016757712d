//! A whole Debian with systemd, cron and sshd, for the guests that say who an actor is where there is a real init.
//!
//! Made once by debootstrap, kept in target/vm/debian, and unpacked by the kernel in front of the agent and the tests.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use crate::build::static_binary;
use crate::sh::{Cmd, is_root, step, which};
use crate::{apt, paths};

const SUITE: &str = "bookworm";
/// Beside what every Debian has.
const PACKAGES: &str =
    "systemd-sysv,libpam-systemd,libnss-systemd,dbus,cron,at,sudo,openssh-server,openssh-client";
/// What a guest with little memory does without.
const LEFT_OUT: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
];
const ARCHIVE: &str = "base.cpio";
const LIST: &str = "base.list";
/// Where the guest finds what is ours.
const OURS: &str = "/spoor";

/// Packs the system with the agent and the test's programs.
pub(super) fn pack(agent: &Path, target: &Path, archive: &Path) -> Result<()> {
    let base = base()?;
    let shown = || format!("cannot write {}", archive.display());
    let mut out = BufWriter::new(File::create(archive).with_context(shown)?);
    let mut system = File::open(&base).with_context(|| format!("cannot read {}", base.display()))?;
    io::copy(&mut system, &mut out).with_context(shown)?;
    let mut ours = Archive::new(out);
    ours.program("/init", &static_binary(target, "guest-init")?)?;
    ours.directory(OURS)?;
    ours.program(&format!("{OURS}/spoor"), agent)?;
    ours.program(&format!("{OURS}/spoor-act"), &static_binary(target, "spoor-act")?)?;
    ours.finish()?.flush().with_context(shown)
}

/// Whether the system is there or can be made.
pub(super) fn possible() -> Result<()> {
    ensure!(
        is_root() || made(),
        "debootstrap makes a system of other users' files, which only root may; make it once: sudo cargo xtask vm 6.1-debian"
    );
    Ok(())
}

fn folder() -> PathBuf {
    paths::target().join("vm/debian")
}

fn wanted() -> String {
    format!("{SUITE} {PACKAGES}")
}

fn made() -> bool {
    let made_of = fs::read_to_string(folder().join(LIST));
    folder().join(ARCHIVE).exists() && made_of.is_ok_and(|made_of| made_of == wanted())
}

/// The system's archive. A file beside it says what it was made of.
fn base() -> Result<PathBuf> {
    let folder = folder();
    let (archive, list) = (folder.join(ARCHIVE), folder.join(LIST));
    if made() {
        return Ok(archive);
    }
    for (program, package) in [("debootstrap", "debootstrap"), ("cpio", "cpio")] {
        if which(program).is_none() {
            apt::install(&[package], "making a Debian for a guest")?;
        }
    }
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    step!("vm: making a Debian {SUITE} with systemd (a minute or two, once)");
    Cmd::new("debootstrap")
        .args(["--variant=minbase", &format!("--include={PACKAGES}"), SUITE])
        .arg(&root)
        .arg(apt::Mirrors::find()?.main)
        .read()?;
    for part in LEFT_OUT {
        let part = root.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
    }
    Cmd::new("sh")
        .args(["-c", "find . -print0 | cpio --quiet --null --create --format=newc > ../base.cpio"])
        .current_dir(&root)
        .run()?;
    fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    fs::write(&list, wanted()).with_context(|| format!("cannot write {}", list.display()))?;
    Ok(archive)
}
