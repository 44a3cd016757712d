//! The start-up scan: processes that were there before the probes, as the same facts a probe would tell.
//!
//! The probes are attached first and the scan comes second, so a process that starts meanwhile is known twice and never
//! not at all; the process table knows them for one.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use procfs::process::{FDInfo, FDPermissions, FDTarget, Process};
use procfs::{ProcError, ProcResult};

use super::canary::kernel_dev;
use super::cgroups::Cgroups;
use super::parallel;
use super::ring::boot_ns;
use crate::event::{Event, Facts, Matched, OpenedFile, ProcessKey, Seeded, Text, What};

/// Most descriptors of one process that are looked at.
const DESCRIPTORS_MAX: usize = 4_096;
/// Most credentials that one process is told to hold.
const OPEN_MAX: usize = 64;

/// What the scan found, and how many processes it could not read (they ended meanwhile, or are hidden).
pub struct Scan {
    /// One event a process, oldest process first.
    pub events: Vec<Event>,
    /// Processes that are there and could not be read.
    pub unread: u64,
    /// Descriptors beyond what is looked at of one process, and credentials beyond what it is told to hold.
    pub descriptors_passed_by: u64,
}

/// What decides which processes are told, and what of them.
pub struct Wanted<'a> {
    /// Where processes are named by their cgroups; `None` without a hierarchy.
    pub cgroups: Option<&'a Cgroups>,
    /// Only processes in these are looked at, if there are any.
    pub scope: &'a [String],
    /// The rule by which a path is a credential.
    pub credential: &'a (dyn Fn(&[u8]) -> Option<u32> + Sync),
    /// Whether it is for a start, which waits for it: then several CPUs are taken.
    pub starting: bool,
}

/// Scans `/proc`.
///
/// # Errors
/// Where `/proc` itself cannot be listed.
pub fn seed(wanted: &Wanted<'_>) -> std::io::Result<Scan> {
    let time_ns = boot_ns();
    let ticks = procfs::ticks_per_second();
    let numbers =
        std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let cpus = if wanted.starting { parallel::cpus() } else { 1 };
    let found = parallel::all(cpus, numbers.collect(), |pid: i32| {
        Process::new(pid).and_then(|process| read(&process, ticks, wanted))
    });
    let mut scan = Scan { events: Vec::new(), unread: 0, descriptors_passed_by: 0 };
    let mut there = Vec::new();
    for process in found {
        match process {
            Ok(Some((seeded, passed_by))) => {
                scan.descriptors_passed_by += passed_by;
                there.push(seeded);
            }
            Ok(None) => {}
            Err(error) if has_ended(&error) => {}
            Err(_) => scan.unread += 1,
        }
    }
    // Of two that were made in one tick of the clock, numbers mostly say which was first.
    there.sort_by_key(|seeded| (seeded.process.key.start_ns, seeded.process.key.tgid));
    let events = there.into_iter().map(|seeded| Event { time_ns, what: What::Seeded(Box::new(seeded)) });
    scan.events = events.collect();
    Ok(scan)
}

/// Whether a process is gone, as most of those are that cannot be read.
fn has_ended(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) => true,
        ProcError::Io(error, _) => error.raw_os_error() == Some(nix::libc::ESRCH),
        ProcError::PermissionDenied(_)
        | ProcError::Incomplete(_)
        | ProcError::Other(_)
        | ProcError::InternalError(_) => false,
    }
}

fn key(pid: i32, start: u64, ticks: u64) -> ProcessKey {
    ProcessKey {
        tgid: u32::try_from(pid).unwrap_or(0),
        start_ns: start.saturating_mul(1_000_000_000 / ticks.max(1)),
    }
}

/// The process that has a number now.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn process_key(pid: u32) -> std::io::Result<ProcessKey> {
    let pid = i32::try_from(pid).map_err(std::io::Error::other)?;
    let stat = Process::new(pid).and_then(|process| process.stat()).map_err(std::io::Error::other)?;
    Ok(key(stat.pid, stat.starttime, procfs::ticks_per_second()))
}

/// Reads one process, and how many of its descriptors were not looked at. `None`: the agent itself, a kernel thread, or out of scope.
fn read(process: &Process, ticks: u64, wanted: &Wanted<'_>) -> ProcResult<Option<(Seeded, u64)>> {
    let Wanted { cgroups, scope, credential, .. } = *wanted;
    let stat = process.stat()?;
    // A kernel thread has no program.
    let kthread = stat.flags & 0x0020_0000 != 0;
    let own = u32::try_from(stat.pid).is_ok_and(|pid| pid == std::process::id());
    // Of a process whose first thread ended before the others, that one is a zombie.
    let ended = stat.state == 'Z' && stat.num_threads <= 1;
    if kthread || own || ended {
        return Ok(None);
    }
    let mut paths = process.cgroups()?;
    if let Some(cgroups) = cgroups {
        for group in paths.0.iter_mut().filter(|group| group.hierarchy == 0) {
            group.pathname = cgroups.from_root(std::mem::take(&mut group.pathname));
        }
    }
    let unified = paths.0.iter().find(|group| group.hierarchy == 0).map(|group| group.pathname.clone());
    if !scope.is_empty() && !unified.as_deref().is_some_and(|path| within(path, scope)) {
        return Ok(None);
    }
    let status = process.status()?;
    // Two of ten, and not all by the library: that is a sixth of what a process costs the start.
    let namespace = |kind: &str| {
        let found = std::fs::metadata(format!("/proc/{}/ns/{kind}", stat.pid)).ok();
        found.and_then(|found| u32::try_from(found.ino()).ok()).unwrap_or(0)
    };
    let key = |pid: i32, start: u64| key(pid, start, ticks);
    let parent = Process::new(stat.ppid).and_then(|parent| parent.stat()).ok();
    let innermost = status.nstgid.as_ref().and_then(|ids| ids.last()).copied().unwrap_or(stat.pid);
    let cgroup = chosen(&paths, unified.as_deref());
    let argv = process.cmdline().unwrap_or_default().into_iter().map(String::into_bytes).collect();
    let (open, passed_by) = open_credentials(process, credential);
    let seeded = Seeded {
        process: Facts {
            key: key(stat.pid, stat.starttime),
            tid: u32::try_from(stat.pid).unwrap_or(0),
            parent: parent.map(|parent| key(parent.pid, parent.starttime)),
            uid: status.ruid,
            euid: status.euid,
            gid: status.rgid,
            login_uid: process.loginuid().ok().filter(|uid| *uid != u32::MAX),
            session: session(stat.pid),
            cgroup_id: unified.as_deref().and_then(|path| cgroups?.id(path)).unwrap_or(0),
            ns_tgid: u32::try_from(innermost).unwrap_or(0),
            pid_ns: namespace("pid"),
            mnt_ns: namespace("mnt"),
            kthread: false,
            comm: stat.comm.as_bytes().into(),
        },
        // Another user's program may be hidden from a process without CAP_SYS_PTRACE.
        exe: process.exe().map(|exe| whole(exe.as_os_str().as_bytes())).unwrap_or_default(),
        argv,
        cgroup: whole(cgroup.as_bytes()),
        open,
        again: false,
    };
    Ok(Some((seeded, passed_by)))
}

/// Audit session. (`procfs` does not read it.) Absent on kernels without audit, and where nobody logged in.
fn session(pid: i32) -> Option<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/sessionid")).ok()?;
    text.trim().parse().ok().filter(|session| *session != u32::MAX)
}

/// Credentials that a process holds open for reading, found by the names of its descriptors, and how many descriptors the
/// bounds left out. A name that cannot be read is of a descriptor that was closed meanwhile.
fn open_credentials(process: &Process, credential: &dyn Fn(&[u8]) -> Option<u32>) -> (Vec<OpenedFile>, u64) {
    let (mut open, mut passed_by) = (Vec::new(), 0);
    let Ok(descriptors) = process.fd() else { return (open, passed_by) };
    for (index, descriptor) in descriptors.enumerate() {
        if index >= DESCRIPTORS_MAX {
            passed_by += 1;
            continue;
        }
        let Some(held) = descriptor.ok().and_then(|found| held(process, &found, credential)) else {
            continue;
        };
        if open.len() < OPEN_MAX {
            open.push(held);
        } else {
            passed_by += 1;
        }
    }
    (open, passed_by)
}

/// The credential behind a descriptor, if one is.
fn held(
    process: &Process,
    descriptor: &FDInfo,
    credential: &dyn Fn(&[u8]) -> Option<u32>,
) -> Option<OpenedFile> {
    let FDTarget::Path(path) = &descriptor.target else { return None };
    if !descriptor.mode().contains(FDPermissions::READ) {
        return None;
    }
    let shown = path.as_os_str().as_bytes();
    // Most descriptors are of no interest by any name: those cost no look at the file.
    if credential(shown).is_none() && credential(name_of(shown, 0)).is_none() {
        return None;
    }
    let link = format!("/proc/{}/fd/{}", process.pid(), descriptor.fd);
    let meta = std::fs::metadata(link).ok().filter(std::fs::Metadata::is_file)?;
    let path = name_of(shown, meta.nlink());
    Some(OpenedFile {
        path: whole(path),
        dev: kernel_dev(meta.dev()),
        ino: meta.ino(),
        generation: 0,
        rule: credential(path)?,
        matched: Matched::Name,
        flags: 0,
        mode: meta.mode(),
        owner: meta.uid(),
        links: u32::try_from(meta.nlink()).unwrap_or(u32::MAX),
        backing: false,
    })
}

/// The name a file was opened by. The kernel adds a word to that of a file without a name; one that has a name may be
/// called so.
fn name_of(link: &[u8], names: u64) -> &[u8] {
    link.strip_suffix(b" (deleted)").filter(|_| names == 0).unwrap_or(link)
}

fn whole(bytes: &[u8]) -> Text {
    Text { bytes: bytes.to_vec(), truncated: false }
}

fn within(path: &str, scope: &[String]) -> bool {
    scope.iter().any(|cgroup| {
        let cgroup = cgroup.trim_end_matches('/');
        path.strip_prefix(cgroup).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// The cgroup that says most: the unified one, or where that is the root, a v1 one as probes would tell it.
fn chosen(paths: &procfs::ProcessCGroups, unified: Option<&str>) -> String {
    let v1 = || paths.0.iter().find(|group| group.controllers.iter().any(|c| c == "pids"));
    match unified {
        Some(path) if path != "/" => path.to_owned(),
        _ => v1().map(|group| group.pathname.clone()).or(unified.map(str::to_owned)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead;

    use super::{chosen, name_of, within};
    use crate::actor::layouts;

    #[test]
    fn the_path_that_says_most_of_every_layout() {
        for (name, layout) in layouts::layouts() {
            let text = |key: &str| layouts::filled(layout[key].as_str().unwrap());
            let paths = procfs::ProcessCGroups::from_buf_read(text("proc").trim_start().as_bytes()).unwrap();
            let unified = paths.0.iter().find(|group| group.hierarchy == 0);
            let found = chosen(&paths, unified.map(|group| group.pathname.as_str()));
            assert_eq!(found, text("path"), "{name}");
        }
    }

    #[test]
    fn a_deleted_file_is_known_by_its_former_name() {
        assert_eq!(name_of(b"/etc/token (deleted)", 0), b"/etc/token");
        assert_eq!(name_of(b"/etc/token (deleted)", 1), b"/etc/token (deleted)");
        assert_eq!(name_of(b"/etc/token", 0), b"/etc/token");
    }

    #[test]
    fn scope_ends_at_a_component() {
        let scope = ["/a/b".to_owned()];
        assert!(within("/a/b", &scope));
        assert!(within("/a/b/c", &scope));
        assert!(!within("/a/bc", &scope));
        assert!(!within("/a", &scope));
    }
}
