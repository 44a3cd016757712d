//! Where cgroups are: the v2 hierarchy, and the ids the kernel knows its directories by.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a scope cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No v2 hierarchy.
    #[error(
        "a scope needs the cgroup v2 hierarchy, and none is mounted; mount it (`mount -t cgroup2 none \
         /sys/fs/cgroup/unified` works beside v1) or leave `scope` out to watch the whole host"
    )]
    NoUnified,
    /// The mount table cannot be read.
    #[error("the mount table cannot be read: {0}")]
    Mounts(#[from] io::Error),
    /// In a cgroup namespace, and not to be found in the hierarchy.
    #[error(
        "this process lives in a cgroup namespace {depth} levels below the root, and is in none of the cgroups there; \
         run it with the host's pid namespace (`--pid=host`, `hostPID: true`), or its cgroup namespace (`--cgroupns=host`)"
    )]
    Namespace {
        /// How far below the root.
        depth: usize,
    },
}

/// The v2 hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroups {
    root: PathBuf,
    /// The directory that this process is shown as the root, from the true one: its cgroup namespace. Empty on a host.
    home: Vec<String>,
}

/// Most directories that are looked at for the own one. A node has some thousand.
const LOOKED_AT_MAX: usize = 65_536;

impl Cgroups {
    /// Finds it, alone or beside v1. In a container it may be that of the host, once the agent has entered the host's root;
    /// the cgroup namespace stays the container's, and is seen through.
    ///
    /// # Errors
    /// [`CgroupError`]
    pub fn find() -> Result<Self, CgroupError> {
        let (root, depth) =
            in_mounts(&fs::read_to_string("/proc/self/mountinfo")?, is_root).ok_or(CgroupError::NoUnified)?;
        if depth == 0 {
            return Ok(Cgroups { root, home: Vec::new() });
        }
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let shown: Vec<&str> =
            own.lines().find_map(|line| line.strip_prefix("0::")).map(parts).unwrap_or_default();
        let home = home(&root, depth, &shown, std::process::id()).ok_or(CgroupError::Namespace { depth })?;
        Ok(Cgroups { root, home })
    }

    /// Directory of a cgroup.
    #[must_use]
    pub fn directory(&self, cgroup: &str) -> PathBuf {
        self.root.join(cgroup.trim_start_matches('/'))
    }

    /// Id of a cgroup, the inode number of its directory; `None` while there is none of that name.
    #[must_use]
    pub fn id(&self, cgroup: &str) -> Option<u64> {
        Some(fs::metadata(self.directory(cgroup)).ok()?.ino())
    }

    /// The path from the true root, of one that `/proc` shows to this process. In a cgroup namespace it is told from that
    /// one's directory, with as many `..` as it takes.
    #[must_use]
    pub fn from_root(&self, shown: String) -> String {
        if self.home.is_empty() {
            return shown;
        }
        let mut path: Vec<&str> = self.home.iter().map(String::as_str).collect();
        for part in parts(&shown) {
            if part == ".." {
                path.pop();
            } else {
                path.push(part);
            }
        }
        format!("/{}", path.join("/"))
    }
}

fn parts(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

/// Whether a directory is the root of the hierarchy: a constant of the kernel.
fn is_root(point: &Path) -> bool {
    fs::metadata(point).is_ok_and(|found| found.ino() == 1)
}

/// Where the whole hierarchy is mounted, and how far below its root this process's cgroup namespace begins. A mount of the
/// root shows as `/`, or from within a namespace as `/../..`, and so does one of a part that the namespace is in.
fn in_mounts(mountinfo: &str, is_root: impl Fn(&Path) -> bool) -> Option<(PathBuf, usize)> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        let (root, point) = (fields.get(3)?, Path::new(fields.get(4)?));
        let up = parts(root);
        let above = up.iter().all(|part| *part == "..") && (up.is_empty() || is_root(point));
        let whole = above && after.split(' ').next() == Some("cgroup2");
        whole.then(|| (point.to_owned(), up.len()))
    })
}

/// The directory of the cgroup namespace: the own process is in it, or below it as `shown` says. Looked for, since the kernel
/// tells a process nothing of what lies above.
fn home(root: &Path, depth: usize, shown: &[&str], pid: u32) -> Option<Vec<String>> {
    let pid = pid.to_string();
    let at = depth + shown.len();
    let mut level = vec![Vec::<String>::new()];
    let mut looked_at = 0_usize;
    for down in 1..=at {
        let mut next = Vec::new();
        for parent in &level {
            let Ok(entries) = fs::read_dir(root.join(parent.join("/"))) else { continue };
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let Ok(name) = entry.file_name().into_string() else { continue };
                // What lies below the namespace is known.
                let fits =
                    down.checked_sub(depth + 1).is_none_or(|below| shown.get(below) == Some(&name.as_str()));
                looked_at += 1;
                if fits && looked_at <= LOOKED_AT_MAX {
                    next.push([parent.as_slice(), &[name]].concat());
                }
            }
        }
        level = next;
    }
    let mut found = level.into_iter().find(|path| {
        let processes = fs::read_to_string(root.join(path.join("/")).join("cgroup.procs"));
        processes.is_ok_and(|list| list.lines().any(|line| line == pid))
    })?;
    found.truncate(depth);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mountinfo: &str) -> Option<(PathBuf, usize)> {
        in_mounts(mountinfo, |point| point == Path::new("/sys/fs/cgroup"))
    }

    #[test]
    fn unified_and_hybrid_mounts() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(whole(unified), Some(("/sys/fs/cgroup".into(), 0)));
        let hybrid = "30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(whole(hybrid), Some(("/sys/fs/cgroup/unified".into(), 0)));
        assert_eq!(whole("30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"), None);
    }

    #[test]
    fn part_of_the_hierarchy_is_not_the_hierarchy() {
        assert_eq!(whole("29 23 0:26 /system.slice /mnt rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(whole("29 23 0:26 /../../system.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), None);
        assert_eq!(whole("29 23 0:26 /.. /mnt rw - cgroup2 cgroup2 rw\n"), None);
    }

    #[test]
    fn the_hierarchy_as_a_container_is_shown_it() {
        let seen = "29 23 0:26 /../../.. /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(whole(seen), Some(("/sys/fs/cgroup".into(), 3)));
    }

    #[test]
    fn paths_of_a_namespace_are_told_from_the_root() {
        let home = ["kubepods.slice", "pod.slice", "a.scope"].map(str::to_owned).to_vec();
        let inside = Cgroups { root: "/sys/fs/cgroup".into(), home };
        for (shown, path) in [
            ("/", "/kubepods.slice/pod.slice/a.scope"),
            ("/init", "/kubepods.slice/pod.slice/a.scope/init"),
            ("/../b.scope", "/kubepods.slice/pod.slice/b.scope"),
            ("/../../../system.slice/cron.service", "/system.slice/cron.service"),
            ("/../../..", "/"),
            ("/../../../../..", "/"),
        ] {
            assert_eq!(inside.from_root(shown.to_owned()), path);
        }
        let outside = Cgroups { root: "/sys/fs/cgroup".into(), home: Vec::new() };
        assert_eq!(outside.from_root("/system.slice/x".to_owned()), "/system.slice/x");
    }

    #[test]
    fn the_own_directory_is_found_by_who_is_in_it() {
        let root = tempfile::tempdir().unwrap();
        let processes = |path: &str, list: &str| {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("cgroup.procs"), list).unwrap();
        };
        processes("pods/one/a", "12\n");
        processes("pods/two/b", "7\n123\n");
        processes("pods/two/b/init", "9\n");
        processes("pods/two/c/init", "10\n");
        let found =
            |depth, shown: &[&str], pid| home(root.path(), depth, shown, pid).map(|path| path.join("/"));
        assert_eq!(found(3, &[], 123).as_deref(), Some("pods/two/b"));
        assert_eq!(found(3, &["init"], 10).as_deref(), Some("pods/two/c"));
        assert_eq!(found(3, &[], 23), None, "a number is the whole of it");
        assert_eq!(found(2, &[], 123), None);
    }
}
