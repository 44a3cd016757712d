//! What only the host can tell of users and units.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::{PodIdentity, Pods};

/// The outside world, as far as actors need it.
pub trait Host {
    /// The time of the event at hand, ns of `CLOCK_BOOTTIME`. Caches go by it.
    fn at(&mut self, _time_ns: u64) {}
    /// Name of a user.
    fn user_name(&mut self, uid: u32) -> Option<String>;
    /// Name of the timer that starts a unit.
    fn unit_trigger(&mut self, unit: &str) -> Option<String>;
    /// Whether the user has a shell to log in with. Unknown users are taken to.
    fn may_log_in(&mut self, _uid: u32) -> bool {
        true
    }
    /// What is known by now of the pod with this uid, in which a container runs.
    fn pod(&mut self, _uid: &str, _container: &str) -> Option<Arc<PodIdentity>> {
        None
    }
}

/// The host's own files: `/etc/passwd` and systemd's unit directories.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    users: HashMap<u32, User>,
    changed: Option<SystemTime>,
    now_ns: u64,
    checked_ns: Option<u64>,
    timers: HashMap<String, (u64, Option<String>)>,
    pods: Option<Pods>,
}

#[derive(Debug)]
struct User {
    name: String,
    may_log_in: bool,
}

impl Files {
    const CHECK_NS: u64 = 1_000_000_000;
    const TIMERS_MAX: usize = 1024;
    const TIMER_NS: u64 = 60_000_000_000;

    /// Reads below `root`, which is `/` but for tests.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            users: HashMap::new(),
            changed: None,
            now_ns: 0,
            checked_ns: None,
            timers: HashMap::new(),
            pods: None,
        }
    }

    /// Asks these for pods.
    #[must_use]
    pub fn with_pods(self, pods: Pods) -> Self {
        Self { pods: Some(pods), ..self }
    }

    /// Looks whether the user table changed, at most once a second.
    fn refresh(&mut self) {
        if self.checked_ns.is_some_and(|checked| self.now_ns < checked.saturating_add(Self::CHECK_NS)) {
            return;
        }
        self.checked_ns = Some(self.now_ns);
        let path = self.root.join("etc/passwd");
        let changed = fs::metadata(&path).and_then(|found| found.modified()).ok();
        if changed.is_some() && changed == self.changed {
            return;
        }
        if let Ok(table) = fs::read(&path) {
            self.users = passwd(&String::from_utf8_lossy(&table));
            self.changed = changed;
        }
    }
}

impl Files {
    /// The name of a user that systemd made for a service, for as long as that runs.
    fn dynamic(&self, uid: u32) -> Option<String> {
        /// `DynamicUser=` takes its users from here.
        const DYNAMIC: std::ops::RangeInclusive<u32> = 61_184..=65_519;
        if !DYNAMIC.contains(&uid) {
            return None;
        }
        let link = self.root.join(format!("run/systemd/dynamic-uid/direct:{uid}"));
        fs::read_link(link).ok()?.into_os_string().into_string().ok()
    }
}

impl Host for Files {
    fn at(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
    }

    fn user_name(&mut self, uid: u32) -> Option<String> {
        self.refresh();
        self.users.get(&uid).map(|user| user.name.clone()).or_else(|| self.dynamic(uid))
    }

    fn may_log_in(&mut self, uid: u32) -> bool {
        self.refresh();
        self.users.get(&uid).is_none_or(|user| user.may_log_in)
    }

    fn pod(&mut self, uid: &str, container: &str) -> Option<Arc<PodIdentity>> {
        self.pods.as_mut()?.pod(uid, container)
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        if let Some((asked_ns, timer)) = self.timers.get(unit)
            && self.now_ns < asked_ns.saturating_add(Self::TIMER_NS)
        {
            return timer.clone();
        }
        let found = timer_names(unit).into_iter().find(|timer| {
            let directories =
                ["etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
            directories.iter().any(|directory| self.root.join(directory).join(timer).exists())
        });
        // `logrotate@a.timer` is a link or runs from its template; the unit's own name is the timer's either way.
        let found = found.and_then(|_| Some(format!("{}.timer", unit.strip_suffix(".service")?)));
        if self.timers.len() >= Self::TIMERS_MAX {
            self.timers.clear();
        }
        self.timers.insert(unit.to_owned(), (self.now_ns, found.clone()));
        found
    }
}

/// File names under which the timer of a unit may lie: its own, and its template's.
fn timer_names(unit: &str) -> Vec<String> {
    let Some(base) = unit.strip_suffix(".service").filter(|base| !base.contains('/')) else {
        return Vec::new();
    };
    let template = base.split_once('@').map(|(name, _)| format!("{name}@.timer"));
    [Some(format!("{base}.timer")), template].into_iter().flatten().collect()
}

fn passwd(table: &str) -> HashMap<u32, User> {
    const NO_SHELLS: [&str; 5] = ["nologin", "false", "sync", "null", "git-shell"];
    let mut users = HashMap::new();
    for line in table.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(uid), shell) = (fields.next(), fields.nth(1), fields.nth(3)) else {
            continue;
        };
        let Ok(uid) = uid.parse() else {
            continue;
        };
        let shell = shell.and_then(|shell| shell.rsplit('/').next()).unwrap_or_default();
        // The first line of a number counts, as for the C library.
        users
            .entry(uid)
            .or_insert_with(|| User { name: name.to_owned(), may_log_in: !NO_SHELLS.contains(&shell) });
    }
    users
}

/// A host as a test wants it.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) users: HashMap<u32, String>,
    pub(crate) timers: HashMap<String, String>,
    /// Pods, and from when on they are known, ns.
    pub(crate) pods: HashMap<String, (u64, Arc<PodIdentity>)>,
    pub(crate) now_ns: u64,
}

#[cfg(test)]
impl Host for Fake {
    fn at(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
    }

    fn pod(&mut self, uid: &str, _container: &str) -> Option<Arc<PodIdentity>> {
        let (since_ns, pod) = self.pods.get(uid)?;
        (*since_ns <= self.now_ns).then(|| Arc::clone(pod))
    }

    fn user_name(&mut self, uid: u32) -> Option<String> {
        self.users.get(&uid).cloned()
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        self.timers.get(unit).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Files, Host};
    use std::fs;

    #[test]
    fn users_follow_the_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/systemd/system")).unwrap();
        let passwd = root.path().join("etc/passwd");
        fs::write(&passwd, "root:x:0:0:root:/root:/bin/bash\nodd\nbackup:x:34:34::/b:/usr/sbin/nologin\n")
            .unwrap();
        let mut host = Files::new(root.path());
        assert_eq!(host.user_name(34).as_deref(), Some("backup"));
        assert!(!host.may_log_in(34));
        assert!(host.may_log_in(0));
        assert_eq!(host.user_name(35), None);
        fs::write(&passwd, "late:x:35:35::/b:/bin/sh\n").unwrap();
        let file = fs::File::options().write(true).open(&passwd).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        host.at(999_999_999);
        assert_eq!(host.user_name(35), None, "asked again within a second");
        host.at(1_000_000_000);
        assert_eq!(host.user_name(35).as_deref(), Some("late"));
    }

    #[test]
    fn timers_lie_beside_units() {
        let root = tempfile::tempdir().unwrap();
        let units = root.path().join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        fs::write(units.join("backup.timer"), "").unwrap();
        fs::write(units.join("dump@.timer"), "").unwrap();
        let mut host = Files::new(root.path());
        assert_eq!(host.unit_trigger("backup.service").as_deref(), Some("backup.timer"));
        assert_eq!(host.unit_trigger("dump@a.service").as_deref(), Some("dump@a.timer"));
        assert_eq!(host.unit_trigger("nginx.service"), None);
        assert_eq!(host.unit_trigger("../x.service"), None);
    }
}
