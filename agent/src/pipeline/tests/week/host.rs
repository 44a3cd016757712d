//! The host of the ordinary weeks: who lives there, and what each does when.

use std::sync::Arc;

use super::super::super::Stages;
use super::super::super::scenario::{ALICE, BACKUP, MS, POD, REFUSED, SECOND, Scenario, file};
use crate::actor::{Fake, PodIdentity, Resolver};
use crate::chain::{Limits, Machine};
use crate::credential::{Credential, Describe, Human, Lifetime, redact};
use crate::event::{Deed, MemoryWay, OpenedFile, ProcessKey, Source, Transport};
use crate::lineage::{self, Table};
use crate::record::{Builder, ClockOffset, Host, Redaction};
use crate::telemetry::Ledger;

/// 2023-11-14, when these boots begin.
pub(super) const OFFSET_NS: i64 = 1_700_000_000_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const MINUTE: u64 = 60 * SECOND;
const WWW: u32 = 33;
const POSTGRES: u32 = 110;
const APP: u32 = 990;

const TLS_KEY: &str = "/etc/nginx/tls.key";
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";
const APP_TOKEN: &str = "/etc/app/db.token";
const AWS: &str = "/home/backup/.aws/credentials";
const REPORT: &str = "/etc/report/.pgpass";
const AGENT: &str = "/etc/monitor/agent.token";
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const API: &str = "/srv/secrets/api.token";
const ALICES: &str = "/home/alice/.ssh/id_ed25519";
const ACCOUNT: &str = "/etc/letsencrypt/account.key";
const SHADOW: &str = "/etc/shadow";

/// What lies where; a file's generation says how often it was replaced.
#[derive(Debug)]
pub(super) struct Catalogue;

impl Describe for Catalogue {
    fn describe(&mut self, file: &OpenedFile, _by: ProcessKey) -> Option<Arc<Credential>> {
        let path = String::from_utf8_lossy(&file.path.bytes).into_owned();
        let (kind, human, lifetime) = match path.as_str() {
            TLS_KEY => ("tls-private-key", Human::Finding, Lifetime::Rotated),
            HOST_KEY => ("ssh-host-key", Human::Finding, Lifetime::LongLived),
            APP_TOKEN | API | AGENT => ("declared", Human::Finding, Lifetime::LongLived),
            AWS => ("aws-access-key", Human::Expected, Lifetime::LongLived),
            REPORT => ("pgpass", Human::Expected, Lifetime::LongLived),
            POD_TOKEN => ("k8s-service-account-token", Human::Finding, Lifetime::Rotated),
            ALICES => ("ssh-private-key", Human::Expected, Lifetime::LongLived),
            ACCOUNT => ("acme-account", Human::Expected, Lifetime::LongLived),
            SHADOW => ("shadow", Human::Expected, Lifetime::LongLived),
            other if other.starts_with("/srv/keys/") => ("declared", Human::Finding, Lifetime::LongLived),
            _ => return None,
        };
        if file.only_written() {
            let (id, kind) = (format!("{kind}:{path}"), kind.to_owned());
            let path = path.into_bytes();
            return Some(Arc::new(Credential { id, kind, path, human, ..Credential::default() }));
        }
        let generation = i64::from(file.generation);
        Some(Arc::new(Credential {
            id: format!("{kind}:{path}"),
            kind: kind.to_owned(),
            fingerprints: vec![format!("cfp1:{path}/{generation}")],
            version: Some(format!("cv1:{path}/{generation}")),
            // Tokens of pods are replaced each hour and hold for two.
            expires: (path == POD_TOKEN).then_some(OFFSET_NS / 1_000_000_000 + (generation + 2) * 3_600),
            human,
            lifetime: Some(lifetime),
            path: path.into_bytes(),
            ..Credential::default()
        }))
    }
}

/// Who lives there.
pub(super) fn fake() -> Fake {
    let users = [
        (0, "root"),
        (BACKUP, "backup"),
        (ALICE, "alice"),
        (WWW, "www-data"),
        (POSTGRES, "postgres"),
        (APP, "app"),
    ];
    let cart = PodIdentity {
        namespace: "shop".to_owned(),
        name: "cart-0".to_owned(),
        service_account: Some("cart".to_owned()),
        owner: Some("Deployment/cart".to_owned()),
        ..PodIdentity::default()
    };
    Fake {
        users: users.map(|(uid, name)| (uid, name.to_owned())).into(),
        timers: [("backup.service".to_owned(), "backup.timer".to_owned())].into(),
        pods: [(POD.to_owned(), (0, Arc::new(cart)))].into(),
        now_ns: 0,
        ..Fake::default()
    }
}

/// A chain ends after so long.
pub(super) const QUIET_NS: u64 = 15 * MINUTE;

pub(super) fn stages() -> Stages<Catalogue, Fake> {
    let boot_id = [7; 16];
    Stages::new(
        Table::new(lineage::Limits { processes_max: 10_000 }, boot_id),
        Resolver::new(fake()),
        Catalogue,
        Machine::new(Limits { quiet_ns: QUIET_NS, ..Limits::default() }, boot_id, OFFSET_NS),
        Arc::new(Ledger::default()),
    )
}

pub(super) fn builder() -> Builder {
    let text = |text: &str| text.to_owned();
    let host = Host { id: text("6f1d2c9e"), name: text("db7"), boot_id: text("2899dae4") };
    let redaction = Redaction { argv: redact::argv, printable: redact::printable };
    Builder::new(host, ClockOffset(OFFSET_NS), 1, redaction)
}

/// What should not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evil {
    /// A program out of `/dev/shm`, run by the web server, opens the backup's keys and looks into the application.
    Implant,
    /// The administrator prints the application's token.
    Curious,
    /// A new job of somebody else opens the application's token, and has a password among its arguments.
    Cron,
}

/// What happens at a time of day.
#[derive(Clone, Copy, Debug)]
enum Task {
    Request(u32),
    Query(u32),
    Measure,
    Report,
    Pod,
    Api,
    Login,
    Tick,
    Logs,
    Renew,
    Backup,
    Admin,
    Upgrade,
    Rotate,
    Deploy,
    Evil(Evil),
}

/// A story under way.
pub(super) struct Week {
    pub(super) story: Scenario,
    pid: u32,
    init: ProcessKey,
    nginx: ProcessKey,
    worker: ProcessKey,
    app: ProcessKey,
    cron: ProcessKey,
    sshd: ProcessKey,
    monitor: ProcessKey,
    pod: ProcessKey,
    container: ProcessKey,
    shim: ProcessKey,
    token_generation: u32,
    session: u32,
}

impl Week {
    /// So many days; of these, on some, what should not be.
    pub(super) fn of(days: u64, evil: &[(u64, Evil)]) -> Self {
        let mut week = Self::begin();
        for day in 0..days {
            let mut tasks = Self::day(day);
            let wrong =
                evil.iter().filter(|(on, _)| *on == day).map(|(_, evil)| (14 * HOUR, Task::Evil(*evil)));
            tasks.extend(wrong);
            tasks.sort_by_key(|(at, _)| *at);
            for (at_ns, task) in tasks {
                let due = 2_000 * SECOND + day * 24 * HOUR + at_ns;
                week.story.now_ns = week.story.now_ns.max(due);
                week.does(day, at_ns, task);
            }
        }
        week
    }

    /// What a day holds: when, and what.
    fn day(day: u64) -> Vec<(u64, Task)> {
        let mut tasks = Vec::new();
        for minute in 0..24 * 60 {
            let at = minute * MINUTE;
            if minute % 5 == 0 {
                tasks.push((at, Task::Measure));
                tasks.push((at + MINUTE / 2, Task::Request(u32::try_from(minute).unwrap())));
            }
            if minute % 10 == 3 {
                tasks.push((at, Task::Query(u32::try_from(minute).unwrap())));
            }
            if minute % 10 == 7 {
                tasks.push((at, Task::Report));
            }
            if minute % 60 == 8 {
                tasks.extend([(at, Task::Pod), (at + MS, Task::Api)]);
            }
            if minute % 30 == 0 {
                tasks.push((at + 9 * MS, Task::Tick));
            }
        }
        tasks.extend([(5 * MS, Task::Logs), (2 * HOUR, Task::Backup), (4 * HOUR, Task::Renew)]);
        tasks.extend([(9 * HOUR, Task::Login), (9 * HOUR + MINUTE, Task::Admin)]);
        match day {
            2 | 9 => tasks.push((6 * HOUR, Task::Upgrade)),
            4 | 11 => tasks.push((11 * HOUR, Task::Rotate)),
            3 | 8 | 12 => tasks.push((15 * HOUR, Task::Deploy)),
            _ => {}
        }
        tasks
    }

    fn begin() -> Self {
        let (mut story, shell) = Scenario::begin();
        let init = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
        let (mut week, mut pid) = (
            Week {
                pid: 1_000,
                init,
                nginx: shell,
                worker: shell,
                app: shell,
                cron: shell,
                sshd: shell,
                monitor: shell,
                pod: shell,
                container: shell,
                shim: shell,
                token_generation: 0,
                session: 2,
                story: std::mem::take(&mut story),
            },
            0_u64,
        );
        let mut service = |week: &mut Week, unit: &str, user: u32, exe: &str| {
            pid += 1;
            let process = week.process(init);
            week.story.move_to(process, 100 + pid, &format!("/system.slice/{unit}"));
            week.story.become_user(process, user);
            week.story.exec(process, exe);
            process
        };
        week.nginx = service(&mut week, "nginx.service", 0, "/usr/sbin/nginx");
        week.app = service(&mut week, "app.service", APP, "/opt/app/bin/app");
        week.cron = service(&mut week, "cron.service", 0, "/usr/sbin/cron");
        week.sshd = service(&mut week, "ssh.service", 0, "/usr/sbin/sshd");
        week.monitor = service(&mut week, "monitor.service", 0, "/usr/bin/monitor-agent");
        week.shim = service(&mut week, "containerd.service", 0, "/usr/bin/containerd-shim");
        week.opens(week.nginx, TLS_KEY, 0);
        week.worker = week.process(week.nginx);
        week.story.become_user(week.worker, WWW);
        week.opens(week.app, APP_TOKEN, 0);
        week.opens(week.monitor, AGENT, 0);
        week.pod = week.contained(&format!("/kubepods/burstable/pod{POD}/{}", "c".repeat(64)), "/app/cart");
        week.deploy(0);
        week
    }

    fn process(&mut self, maker: ProcessKey) -> ProcessKey {
        self.pid += 1;
        self.story.fork(maker, self.pid)
    }

    /// What a runtime starts: itself out of memory first, as `runc` does, then the container's program.
    fn contained(&mut self, cgroup: &str, exe: &str) -> ProcessKey {
        let process = self.process(self.shim);
        self.nameless(process, "/memfd:runc_cloned:/proc/self/exe");
        let id = u64::from(self.pid);
        self.story.move_to(process, 10_000 + id, cgroup);
        self.story.exec(process, exe);
        process
    }

    /// Takes a program whose file has no name.
    fn nameless(&mut self, process: ProcessKey, exe: &str) {
        self.story.exec(process, exe);
        if let Some(event) = self.story.events.last_mut()
            && let crate::event::What::Seen(seen) = &mut event.what
            && let Deed::Exec { nameless, .. } = &mut seen.deed
        {
            *nameless = true;
        }
    }

    fn deploy(&mut self, number: u64) {
        if number > 0 {
            self.story.exit(self.container, 0);
        }
        let cgroup = format!("/docker/{:012x}{}", 0xabc_0000_0000_u64 + number, "0".repeat(52));
        self.container = self.contained(&cgroup, "/app/api");
        self.opens(self.container, API, 0);
    }

    fn opens(&mut self, process: ProcessKey, path: &str, generation: u32) {
        let opened = OpenedFile { generation, ..file(path) };
        self.story.deed(process, Source::LsmOpen, Deed::Open(opened));
    }

    fn reach(&mut self, process: ProcessKey, to: &str, port: u16) {
        let asked = self.story.connect(process, to, port);
        self.story.end(asked, Ok(()));
    }

    /// A job's process, in its own unit where it has one.
    fn job(&mut self, maker: ProcessKey, unit: Option<&str>, user: u32, exe: &str) -> ProcessKey {
        let process = self.process(maker);
        if let Some(unit) = unit {
            let id = 10_000 + u64::from(self.pid);
            self.story.move_to(process, id, &format!("/system.slice/{unit}"));
        }
        self.story.become_user(process, user);
        self.story.exec(process, exe);
        process
    }

    fn does(&mut self, day: u64, at_ns: u64, task: Task) {
        let hour = u32::try_from(day * 24 + at_ns / HOUR).unwrap();
        match task {
            Task::Request(minute) => self.request(minute),
            Task::Query(minute) => self.query(minute),
            Task::Measure => self.measure(),
            Task::Report => self.report(hour),
            Task::Pod => {
                self.opens(self.pod, POD_TOKEN, hour);
                self.reach(self.pod, "10.96.0.1", 443);
            }
            Task::Api => {
                self.opens(self.container, API, 0);
                self.reach(self.container, "10.0.3.1", 443);
            }
            Task::Login => self.login(),
            Task::Tick => self.story.tick(),
            Task::Logs => self.rotate_logs(),
            Task::Renew => {
                let certbot = self.job(self.init, Some("certbot.service"), 0, "/usr/bin/certbot");
                self.opens(certbot, ACCOUNT, 0);
                self.reach(certbot, "172.65.32.248", 443);
                self.story.write(certbot, TLS_KEY);
                self.story.exit(certbot, 0);
            }
            Task::Backup => self.backup(),
            Task::Admin => self.administer(day),
            Task::Upgrade => self.upgrade(),
            Task::Rotate => {
                self.token_generation += 1;
                let vault = self.job(self.init, Some("vault-agent.service"), 0, "/usr/bin/vault");
                self.story.write(vault, APP_TOKEN);
                self.story.exit(vault, 0);
                self.opens(self.app, APP_TOKEN, self.token_generation);
                self.reach(self.app, "10.0.0.9", 5432);
            }
            Task::Deploy => self.deploy(day),
            Task::Evil(evil) => self.evil(evil),
        }
    }

    /// A request of the web, which the server passes on to one of three.
    fn request(&mut self, minute: u32) {
        let from = ("203.0.113.7".parse().unwrap(), 40_000);
        let at = ("10.0.0.7".parse().unwrap(), 443);
        let deed = Deed::Accept { from, at, transport: Transport::TCP };
        self.story.deed(self.worker, Source::LsmAccept, deed);
        self.reach(self.worker, ["10.0.1.1", "10.0.1.2", "10.0.1.3"][minute as usize / 5 % 3], 8080);
    }

    /// The application asks its database, which now and then refuses and then does not.
    fn query(&mut self, minute: u32) {
        if minute.is_multiple_of(7) {
            self.opens(self.app, APP_TOKEN, self.token_generation);
        }
        for _ in 0..minute % 3 {
            let refused = self.story.connect(self.app, "10.0.0.9", 5432);
            self.story.end(refused, REFUSED);
            self.story.wait(SECOND);
        }
        self.reach(self.app, "10.0.0.9", 5432);
    }

    /// Monitoring reads the environments of whoever runs, and sends what it saw.
    fn measure(&mut self) {
        for target in [self.nginx, self.app, self.container] {
            let deed = Deed::Memory { target, how: MemoryWay::Environ };
            self.story.deed(self.monitor, Source::LsmPtrace, deed);
        }
        self.reach(self.monitor, "10.0.0.50", 8086);
    }

    /// Cron's report, which fails for an hour of the night.
    fn report(&mut self, hour: u32) {
        let shell = self.job(self.cron, None, BACKUP, "/usr/bin/dash");
        let job = self.job(shell, None, BACKUP, "/usr/local/bin/report");
        self.opens(job, REPORT, 0);
        let failed = hour % 24 == 3;
        let asked = self.story.connect(job, "10.0.0.9", 5432);
        self.story.end(asked, if failed { REFUSED } else { Ok(()) });
        self.story.exit(job, failed.into());
        self.story.exit(shell, failed.into());
    }

    fn rotate_logs(&mut self) {
        let job = self.job(self.init, Some("logrotate.service"), 0, "/usr/sbin/logrotate");
        let shell = self.job(job, None, 0, "/usr/bin/dash");
        self.story.exec_with(shell, "/usr/bin/kill", &["kill", "-USR1", "1001"]);
        self.story.exit(shell, 0);
        self.story.exit(job, 0);
    }

    /// The backup opens whatever there is, then sends it away.
    fn backup(&mut self) {
        let job = self.job(self.init, Some("backup.service"), BACKUP, "/usr/local/bin/nightly-backup");
        self.opens(job, AWS, 0);
        let restic = self.process(job);
        let argv = ["restic", "--password-file=/etc/backup/key", "backup", "/"];
        self.story.exec_with(restic, "/usr/bin/restic", &argv);
        for number in 0..20 {
            self.opens(restic, &format!("/srv/keys/{number}.token"), 0);
        }
        for path in [TLS_KEY, HOST_KEY, REPORT, AGENT, API, ALICES, ACCOUNT, SHADOW] {
            self.opens(restic, path, 0);
        }
        self.opens(restic, APP_TOKEN, self.token_generation);
        for host in 0..4 {
            self.reach(restic, ["52.216.0.1", "52.216.0.2", "52.216.0.3", "52.216.0.4"][host], 443);
        }
        self.story.exit(restic, 0);
        self.story.exit(job, 0);
    }

    /// Somebody comes in by ssh: the connection's own process opens the host's key, and the table of passwords.
    fn login(&mut self) {
        let monitor = self.process(self.sshd);
        self.story.exec(monitor, "/usr/sbin/sshd");
        self.opens(monitor, HOST_KEY, 0);
        self.opens(monitor, SHADOW, 0);
        self.session += 1;
        self.story.login(monitor, ALICE, self.session);
        let scope = format!("/user.slice/user-{ALICE}.slice/session-{}.scope", self.session);
        self.story.move_to(monitor, 20_000 + u64::from(self.session), &scope);
        let shell = self.process(monitor);
        self.story.become_user(shell, ALICE);
        self.story.exec(shell, "/usr/bin/bash");
        self.monitor_of(shell);
    }

    fn monitor_of(&mut self, shell: ProcessKey) {
        // Her own key, to the next host; then a debugger on what she just built.
        let ssh = self.process(shell);
        self.story.exec(ssh, "/usr/bin/ssh");
        self.opens(ssh, ALICES, 0);
        self.reach(ssh, "10.0.0.20", 22);
        let built = self.process(shell);
        self.story.exec(built, "/home/alice/build/tool");
        self.opens(built, ALICES, 0);
        let gdb = self.process(shell);
        self.story.exec(gdb, "/usr/bin/gdb");
        let deed = Deed::Memory { target: built, how: MemoryWay::Attach };
        self.story.deed(gdb, Source::LsmPtrace, deed);
        [gdb, built, ssh].into_iter().for_each(|process| self.story.exit(process, 0));
        self.sudo(shell, "/usr/sbin/nginx", &["nginx", "-t"], Some(TLS_KEY));
        self.sudo(shell, "/usr/bin/less", &["less", "/var/log/syslog"], None);
        // A password is changed, a key made, a service's token put in place by hand.
        let passwd = self.process(shell);
        self.story.become_root_effectively(passwd);
        self.story.exec(passwd, "/usr/bin/passwd");
        self.opens(passwd, SHADOW, 0);
        self.story.write(passwd, SHADOW);
        let keygen = self.process(shell);
        self.story.exec(keygen, "/usr/bin/ssh-keygen");
        self.story.write(keygen, ALICES);
        let sudo = self.process(shell);
        self.story.become_user(sudo, 0);
        self.story.exec_with(sudo, "/usr/bin/tee", &["tee", AGENT]);
        self.story.write(sudo, AGENT);
        [sudo, keygen, passwd].into_iter().for_each(|process| self.story.exit(process, 0));
        self.story.exit(shell, 0);
    }

    /// `sudo` opens the table of passwords by its own right, then does as it is told.
    fn sudo(&mut self, shell: ProcessKey, exe: &str, argv: &[&str], opens: Option<&str>) {
        let sudo = self.process(shell);
        self.story.become_root_effectively(sudo);
        self.story.exec(sudo, "/usr/bin/sudo");
        self.opens(sudo, SHADOW, 0);
        let child = self.process(sudo);
        self.story.become_user(child, 0);
        self.story.exec_with(child, exe, argv);
        opens.into_iter().for_each(|path| self.opens(child, path, 0));
        self.story.exit(child, 0);
        self.story.exit(sudo, 0);
    }

    /// What init does because an administrator asked it to.
    fn administer(&mut self, day: u64) {
        if day.is_multiple_of(3) {
            self.opens(self.nginx, TLS_KEY, 0);
            self.story.exit(self.worker, 0);
            self.worker = self.process(self.nginx);
            self.story.become_user(self.worker, WWW);
        }
    }

    /// Packages are upgraded under running daemons: what they run has no name any more, and one starts itself anew.
    fn upgrade(&mut self) {
        let apt = self.job(self.init, Some("apt-daily-upgrade.service"), 0, "/usr/bin/unattended-upgrade");
        self.reach(apt, "151.101.2.132", 80);
        let dpkg = self.job(apt, None, 0, "/usr/bin/dpkg");
        let script = self.job(dpkg, None, 0, "/var/lib/dpkg/info/nginx.postinst");
        let other = self.job(script, None, 0, "/tmp/debconf.frontend");
        // It makes a user for a daemon, and keys that are missing.
        self.story.write(other, SHADOW);
        self.story.write(script, HOST_KEY);
        self.story.write(dpkg, TLS_KEY);
        // It asks which daemons run what was replaced.
        let needrestart = self.job(apt, None, 0, "/usr/sbin/needrestart");
        for target in [self.nginx, self.app, self.container] {
            let deed = Deed::Memory { target, how: MemoryWay::Environ };
            self.story.deed(needrestart, Source::LsmPtrace, deed);
        }
        self.story.exit(needrestart, 0);
        [other, script, dpkg, apt].into_iter().for_each(|process| self.story.exit(process, 0));
        self.nameless(self.nginx, "/usr/sbin/nginx");
        self.opens(self.nginx, TLS_KEY, 0);
        self.story.exit(self.worker, 0);
        self.worker = self.process(self.nginx);
        self.story.become_user(self.worker, WWW);
    }

    fn evil(&mut self, evil: Evil) {
        match evil {
            Evil::Implant => {
                let implant = self.job(self.worker, None, WWW, "/dev/shm/.x");
                self.opens(implant, AWS, 0);
                let deed = Deed::Memory { target: self.app, how: MemoryWay::File };
                self.story.deed(implant, Source::LsmPtrace, deed);
                self.reach(implant, "198.51.100.66", 443);
                self.story.exit(implant, 0);
            }
            Evil::Curious => {
                let shell = self.process(self.sshd);
                self.story.login(shell, ALICE, 999);
                self.story.become_user(shell, ALICE);
                self.story.exec(shell, "/usr/bin/bash");
                self.sudo(shell, "/usr/bin/cat", &["cat", APP_TOKEN], Some(APP_TOKEN));
                self.story.exit(shell, 0);
            }
            Evil::Cron => {
                let job = self.job(self.cron, None, POSTGRES, "/usr/local/bin/sync");
                self.opens(job, APP_TOKEN, self.token_generation);
                let child = self.process(job);
                self.story.exec_with(
                    child,
                    "/usr/bin/curl",
                    &["curl", "-u", "me:hunter22", "http://10.0.0.30"],
                );
                self.story.exit(child, 0);
                self.story.exit(job, 0);
            }
        }
    }
}
