//! What only the host can tell of users, sessions and units.

mod containers;
mod sessions;
mod triggers;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::HashMap;

pub use self::sessions::Login;
use self::sessions::Sessions;
use super::{PodIdentity, Pods};

/// The outside world, as far as actors need it.
pub trait Host {
    /// The time of the event at hand, ns of `CLOCK_BOOTTIME`. Caches go by it.
    fn at(&mut self, _time_ns: u64) {}
    /// Name of a user.
    fn user_name(&mut self, uid: u32) -> Option<String>;
    /// Name of the timer, socket or path unit that starts a unit.
    fn unit_trigger(&mut self, unit: &str) -> Option<String>;
    /// Whether the user has a shell to log in with. Unknown users are taken to.
    fn may_log_in(&mut self, _uid: u32) -> bool {
        true
    }
    /// Whose range of numbers for user namespaces a number is of.
    fn sub_user(&mut self, _uid: u32) -> Option<String> {
        None
    }
    /// What is known by now of a login session, by its name.
    fn login(&mut self, _session: &str) -> Option<Arc<Login>> {
        None
    }
    /// What is known by now of the pod with this uid, in which a container runs.
    fn pod(&mut self, _uid: &str, _container: &str) -> Option<Arc<PodIdentity>> {
        None
    }
    /// The name of a container of root's daemon, where that keeps names on the host.
    fn container_name(&mut self, _runtime: &str, _id: &str) -> Option<String> {
        None
    }
}

/// The host's own files: `/etc/passwd` and systemd's unit directories.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    users: HashMap<u32, User>,
    changed: Option<SystemTime>,
    subuids: Vec<SubUids>,
    subuids_changed: Option<SystemTime>,
    now_ns: u64,
    checked_ns: Option<u64>,
    triggers: HashMap<String, (u64, Option<String>)>,
    sessions: Sessions,
    pods: Option<Pods>,
}

/// Numbers that a user may use in user namespaces.
#[derive(Debug)]
struct SubUids {
    owner: String,
    first: u32,
    count: u32,
}

#[derive(Debug)]
struct User {
    name: String,
    may_log_in: bool,
}

impl Files {
    const CHECK_NS: u64 = 1_000_000_000;
    const TRIGGERS_MAX: usize = 1024;
    const TRIGGER_NS: u64 = 60_000_000_000;

    /// Reads below `root`, which is `/` but for tests.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            users: HashMap::default(),
            changed: None,
            subuids: Vec::new(),
            subuids_changed: None,
            now_ns: 0,
            checked_ns: None,
            triggers: HashMap::default(),
            sessions: Sessions::default(),
            pods: None,
        }
    }

    /// Asks these for pods.
    #[must_use]
    pub fn with_pods(self, pods: Pods) -> Self {
        Self { pods: Some(pods), ..self }
    }

    /// Looks whether the tables of users changed, at most once a second.
    fn refresh(&mut self) {
        if self.checked_ns.is_some_and(|checked| self.now_ns < checked.saturating_add(Self::CHECK_NS)) {
            return;
        }
        self.checked_ns = Some(self.now_ns);
        if let Some(table) = self.anew("etc/passwd", self.changed) {
            self.users = passwd(&table.0);
            self.changed = Some(table.1);
        }
        if let Some(table) = self.anew("etc/subuid", self.subuids_changed) {
            self.subuids = subuids(&table.0);
            self.subuids_changed = Some(table.1);
        }
    }

    /// A table, where it is another than it was.
    fn anew(&self, table: &str, known: Option<SystemTime>) -> Option<(String, SystemTime)> {
        let path = self.root.join(table);
        let changed = fs::metadata(&path).and_then(|found| found.modified()).ok();
        let changed = changed.filter(|changed| Some(*changed) != known)?;
        let text = fs::read(&path).ok()?;
        Some((String::from_utf8_lossy(&text).into_owned(), changed))
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

    fn container_name(&mut self, runtime: &str, id: &str) -> Option<String> {
        containers::name(&self.root, runtime, id)
    }

    fn sub_user(&mut self, uid: u32) -> Option<String> {
        self.refresh();
        let range = self
            .subuids
            .iter()
            .find(|range| uid.checked_sub(range.first).is_some_and(|n| n < range.count))?;
        // The table has names or numbers.
        let named = range.owner.parse().ok().and_then(|owner| self.users.get(&owner));
        Some(named.map_or_else(|| range.owner.clone(), |user| user.name.clone()))
    }

    fn login(&mut self, session: &str) -> Option<Arc<Login>> {
        self.sessions.login(&self.root, session, self.now_ns)
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        if let Some((asked_ns, trigger)) = self.triggers.get(unit)
            && self.now_ns < asked_ns.saturating_add(Self::TRIGGER_NS)
        {
            return trigger.clone();
        }
        let found = triggers::trigger(&self.root, unit);
        if self.triggers.len() >= Self::TRIGGERS_MAX {
            self.triggers.clear();
        }
        self.triggers.insert(unit.to_owned(), (self.now_ns, found.clone()));
        found
    }
}

fn subuids(table: &str) -> Vec<SubUids> {
    const RANGES_MAX: usize = 4096;
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(SubUids { owner: owner.to_owned(), first: first.parse().ok()?, count: count.parse().ok()? })
    };
    table.lines().filter_map(range).take(RANGES_MAX).collect()
}

fn passwd(table: &str) -> HashMap<u32, User> {
    const NO_SHELLS: [&str; 5] = ["nologin", "false", "sync", "null", "git-shell"];
    let mut users = HashMap::default();
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
    pub(crate) users: std::collections::HashMap<u32, String>,
    pub(crate) timers: std::collections::HashMap<String, String>,
    pub(crate) logins: std::collections::HashMap<String, Arc<Login>>,
    /// Whose number it is, of user namespaces.
    pub(crate) sub_users: std::collections::HashMap<u32, String>,
    /// Pods, and from when on they are known, ns.
    pub(crate) pods: std::collections::HashMap<String, (u64, Arc<PodIdentity>)>,
    /// From when on names of their containers are known, ns.
    pub(crate) containers_ns: u64,
    /// Names of docker's containers, by id.
    pub(crate) container_names: std::collections::HashMap<String, String>,
    pub(crate) now_ns: u64,
}

#[cfg(test)]
impl Host for Fake {
    fn at(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
    }

    fn pod(&mut self, uid: &str, _container: &str) -> Option<Arc<PodIdentity>> {
        let (since_ns, pod) = self.pods.get(uid)?;
        let mut pod = Arc::clone(pod);
        if self.now_ns < self.containers_ns {
            Arc::make_mut(&mut pod).containers.clear();
        }
        (*since_ns <= self.now_ns).then_some(pod)
    }

    fn user_name(&mut self, uid: u32) -> Option<String> {
        self.users.get(&uid).cloned()
    }

    fn container_name(&mut self, _runtime: &str, id: &str) -> Option<String> {
        self.container_names.get(id).cloned()
    }

    fn unit_trigger(&mut self, unit: &str) -> Option<String> {
        self.timers.get(unit).cloned()
    }

    fn login(&mut self, session: &str) -> Option<Arc<Login>> {
        self.logins.get(session).cloned()
    }

    fn sub_user(&mut self, uid: u32) -> Option<String> {
        self.sub_users.get(&uid).cloned()
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
    fn numbers_of_user_namespaces_have_an_owner() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "alice:x:1000:1000::/home/alice:/bin/sh\n").unwrap();
        let table = "alice:100000:65536\nodd\n1000:300000:10\nbob:4294967295:9\n";
        fs::write(root.path().join("etc/subuid"), table).unwrap();
        let mut host = Files::new(root.path());
        for (uid, owner) in [
            (100_000, Some("alice")),
            (165_535, Some("alice")),
            (165_536, None),
            (99_999, None),
            (300_009, Some("alice")),
            (u32::MAX, Some("bob")),
        ] {
            assert_eq!(host.sub_user(uid).as_deref(), owner, "{uid}");
        }
    }
}
