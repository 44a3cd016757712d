//! Where cgroups are: the v2 hierarchy, and the ids the kernel knows its directories by.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

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
}

/// The v2 hierarchy.
#[derive(Clone, Debug)]
pub struct Cgroups {
    root: PathBuf,
}

impl Cgroups {
    /// Finds it, alone or beside v1.
    ///
    /// # Errors
    /// [`CgroupError`]
    pub fn find() -> Result<Self, CgroupError> {
        Self::in_mounts(&fs::read_to_string("/proc/self/mountinfo")?).ok_or(CgroupError::NoUnified)
    }

    fn in_mounts(mountinfo: &str) -> Option<Self> {
        mountinfo.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let fields: Vec<&str> = before.split(' ').collect();
            let (root, point) = (fields.get(3)?, fields.get(4)?);
            let whole = *root == "/" && after.split(' ').next() == Some("cgroup2");
            whole.then(|| Cgroups { root: PathBuf::from(point) })
        })
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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn unified_and_hybrid_mounts() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(Cgroups::in_mounts(unified).unwrap().root, Path::new("/sys/fs/cgroup"));
        let hybrid = "30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      31 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = Cgroups::in_mounts(hybrid).unwrap();
        assert_eq!(found.directory("/a/b"), Path::new("/sys/fs/cgroup/unified/a/b"));
        assert!(Cgroups::in_mounts("30 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n").is_none());
    }

    #[test]
    fn part_of_the_hierarchy_is_not_the_hierarchy() {
        let bind = "29 23 0:26 /system.slice /mnt rw - cgroup2 cgroup2 rw\n";
        assert!(Cgroups::in_mounts(bind).is_none());
    }
}
