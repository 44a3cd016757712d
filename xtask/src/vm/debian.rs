//! Whole Debians for guests, each made once by debootstrap and kept in target/vm: two in memory with systemd, cron, sshd and rsyslog,
//! of two releases, unpacked by the kernel in front of the agent and the tests; and two on disks: one with container runtimes,
//! clients and servers, and one that has an ordinary day.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::cpio::Archive;
use super::matrix::System;
use crate::build::{GUEST, static_binary};
use crate::sh::{Cmd, is_root, step, which};
use crate::{apt, paths};

/// What a guest does without.
const LEFT_OUT: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "var/lib/apt/lists",
    "var/cache/apt",
];
/// Adds packages to the system in the current folder, and starts nothing of them.
const ADD: &str = "set -e; printf '#!/bin/sh\\nexit 101\\n' > usr/sbin/policy-rc.d; chmod 755 usr/sbin/policy-rc.d; \
    mount -t proc proc proc; export DEBIAN_FRONTEND=noninteractive; chroot . apt-get update -qq; \
    chroot . apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-unsafe-io $1 > ../apt.log 2>&1 \
    || { tail -n 20 ../apt.log >&2; exit 1; }; rm usr/sbin/policy-rc.d";
/// Where the guest in memory finds what is ours.
const OURS: &str = "/spoor";

/// A system that is made once.
struct Base {
    /// Below target/vm.
    folder: &'static str,
    suite: &'static str,
    /// The file it becomes. One beside it says what it was made of.
    file: &'static str,
    about: &'static str,
    /// Beside what every Debian has.
    packages: &'static str,
    /// What apt puts on top, for debootstrap chooses none of packages that stand for one another. May be none.
    more: &'static str,
    /// Puts the folder `root` into the file, both below the current folder.
    pack: &'static str,
}

static IN_MEMORY: Base = OF_MEMORY;

const OF_MEMORY: Base = Base {
    folder: "debian",
    suite: "bookworm",
    file: "base.cpio",
    about: "with systemd (a minute or two, once)",
    packages: "systemd-sysv,libpam-systemd,libnss-systemd,dbus,cron,at,sudo,openssh-server,openssh-client,rsyslog,rpm",
    more: "",
    pack: "cd root && find . -print0 | cpio --quiet --null --create --format=newc > ../base.cpio",
};

/// No systemd, no cron: whatever runs there is measured.
static MEASURED: Base = Base {
    folder: "debian-overhead",
    about: "with auditd, laurel, and programs that are watched at work (some minutes, once)",
    packages: "auditd,laurel",
    more: "gcc libc6-dev redis-server redis-tools nginx-light apache2-utils",
    ..OF_MEMORY
};

static NEXT_IN_MEMORY: Base = Base { folder: "debian-trixie", suite: "trixie", ..OF_MEMORY };

/// Mounted by the guest from what QEMU shows as an NVMe disk: cloud kernels have that and ext4 built in. What a guest
/// writes is thrown away. Sparse: it takes the room of what is in it.
static ON_DISK: Base = ON_A_DISK;

const ON_A_DISK: Base = Base {
    folder: "disk",
    suite: "bookworm",
    file: "base.ext4",
    about: "with container runtimes, clients and servers (some minutes and a GB or two, once)",
    packages: "systemd-sysv,libpam-systemd,libnss-systemd,dbus,dbus-user-session,openssh-server,openssh-client",
    more: "podman crun netavark uidmap containerd runc docker.io \
        postgresql git curl awscli skopeo kubernetes-client restic rclone openssl",
    pack: "rm -f base.ext4 && mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d root base.ext4 4G",
};

/// The same with what a day on a host is made of. Packages that are upgraded each day lie there in two more versions, which
/// differ from what is installed by their number alone: all that an upgrade does is done.
static OF_A_DAY: Base = Base {
    folder: "day",
    about: "with what a day on a host is made of (some minutes and a GB, once)",
    packages: "systemd-sysv,libpam-systemd,libnss-systemd,dbus,dbus-user-session,cron,at,sudo,logrotate,openssh-server,\
        openssh-client,rsyslog",
    more: "postgresql restic nginx curl openssl needrestart monitoring-plugins-standard prometheus-node-exporter less procps auditd",
    pack: UPGRADES_AND_DISK,
    ..ON_A_DISK
};

const UPGRADES_AND_DISK: &str = "set -e; mkdir -p root/srv/upgrades/day1 root/srv/upgrades/day2 new; \
    chroot root apt-get update -qq; chroot root sh -c 'cd /srv/upgrades && exec apt-get download -qq \
    openssh-client openssh-server openssh-sftp-server nginx-common nginx sudo cron'; \
    for deb in root/srv/upgrades/*.deb; do version=$(dpkg-deb -f $deb Version); for day in 1 2; do \
    rm -rf new && dpkg-deb -R $deb new && sed -i \"s/$version/$version+day$day/g\" new/DEBIAN/control && \
    dpkg-deb -Zgzip -z1 -b new root/srv/upgrades/day$day > /dev/null; done; rm $deb; done; \
    rm -rf new root/var/lib/apt/lists root/var/cache/apt; \
    rm -f base.ext4 && mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -d root base.ext4 4G";

/// What a system is made on; of the bare one, nothing.
fn base(system: System) -> Option<&'static Base> {
    match system {
        System::Bare | System::Measured => None,
        System::Debian | System::Package => Some(&IN_MEMORY),
        System::PackageTrixie => Some(&NEXT_IN_MEMORY),
        System::Containers | System::Clients => Some(&ON_DISK),
        System::Overhead => Some(&MEASURED),
        System::Day => Some(&OF_A_DAY),
    }
}

/// Packs a system in memory with the agent and the test's programs, and what else it is to find beside them, by name.
pub(super) fn pack(
    system: System,
    agent: &Path,
    target: &Path,
    archive: &Path,
    more: &[(String, PathBuf)],
) -> Result<()> {
    let base = base(system).context("the bare system is made of nothing")?.ensure()?;
    let shown = || format!("cannot write {}", archive.display());
    let mut out = BufWriter::new(File::create(archive).with_context(shown)?);
    let mut system = File::open(&base).with_context(|| format!("cannot read {}", base.display()))?;
    io::copy(&mut system, &mut out).with_context(shown)?;
    let mut ours = Archive::new(out);
    ours.program("/init", &static_binary(target, GUEST, "guest-init")?)?;
    ours.directory(OURS)?;
    ours.program(&format!("{OURS}/spoor"), agent)?;
    for program in ["spoor-act", "spoor-load"] {
        ours.program(&format!("{OURS}/{program}"), &static_binary(target, GUEST, program)?)?;
    }
    for (name, file) in more {
        ours.program(&format!("{OURS}/{name}"), file)?;
    }
    ours.finish()?.flush().with_context(shown)
}

/// The disk of a system, made if it is not there.
pub(super) fn disk(system: System) -> Result<PathBuf> {
    base(system).context("the bare system has no disk")?.ensure()
}

/// Where the disk of a system lies.
pub(super) fn disk_file(system: System) -> Option<PathBuf> {
    let base = base(system).filter(|_| system.on_disk())?;
    Some(base.folder().join(base.file))
}

/// Whether a cell's system is there or can be made.
pub(super) fn possible(system: System, cell: &str) -> Result<()> {
    let Some(base) = base(system) else { return Ok(()) };
    ensure!(
        is_root() || base.made(),
        "debootstrap makes a system of other users' files, which only root may; make it once: sudo cargo xtask vm {cell}"
    );
    Ok(())
}

impl Base {
    fn folder(&self) -> PathBuf {
        paths::target().join("vm").join(self.folder)
    }

    /// What it is made of.
    fn wanted(&self) -> String {
        let more = if self.more.is_empty() { String::new() } else { format!(" {}", self.more) };
        format!("{} {}{more}", self.suite, self.packages)
    }

    fn list(&self) -> PathBuf {
        self.folder().join("base.list")
    }

    fn made(&self) -> bool {
        let made_of = fs::read_to_string(self.list());
        self.folder().join(self.file).exists() && made_of.is_ok_and(|made_of| made_of == self.wanted())
    }

    fn ensure(&self) -> Result<PathBuf> {
        let folder = self.folder();
        let file = folder.join(self.file);
        if self.made() {
            return Ok(file);
        }
        for (program, package) in [("debootstrap", "debootstrap"), ("cpio", "cpio"), ("mke2fs", "e2fsprogs")]
        {
            if which(program).is_none() {
                apt::install(&[package], "making a Debian for a guest")?;
            }
        }
        let root = folder.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        step!("vm: making a Debian {} {}", self.suite, self.about);
        // What is mounted meanwhile is seen by nobody else, and gone at the end, however that comes.
        Cmd::new("unshare")
            .args([
                "--mount",
                "debootstrap",
                "--variant=minbase",
                &format!("--include={}", self.packages),
                self.suite,
            ])
            .arg(&root)
            .arg(apt::Mirrors::find()?.main)
            .read()?;
        if !self.more.is_empty() {
            Cmd::new("unshare")
                .args(["--mount", "sh", "-c", ADD, "add", self.more])
                .current_dir(&root)
                .run()?;
        }
        for part in LEFT_OUT {
            let part = root.join(part);
            if part.exists() {
                fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
            }
        }
        Cmd::new("sh").args(["-c", self.pack]).current_dir(&folder).run()?;
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
        let list = self.list();
        fs::write(&list, self.wanted()).with_context(|| format!("cannot write {}", list.display()))?;
        Ok(file)
    }
}
