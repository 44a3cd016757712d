//! What a host says of itself before anything is tried: read for `spoor doctor`, which explains refusals by it. Nothing
//! here decides anything. All of it comes from files below one root, so that a folder can stand for a host.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::preflight::{self, Lockdown};

/// Most of a file that is read; a kernel's build options take a quarter of it.
const FILE_MAX: u64 = 1 << 20;
/// Most sockets of the audit system that are told.
const AUDIT_MAX: usize = 64;
/// Protocol number of the audit system's netlink.
const NETLINK_AUDIT: &str = "9";

/// How the kernel was built: what decides about tiers.
pub const BUILD_OPTIONS: [&str; 4] =
    ["CONFIG_BPF_JIT", "CONFIG_BPF_LSM", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "CONFIG_KPROBES"];

/// A capability that the agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// As the kernel calls it.
    pub name: &'static str,
    /// Its number.
    pub number: u32,
    /// What is missing without it.
    pub without: &'static str,
}

/// What the agent uses, in the order of the unit file.
pub const CAPABILITIES: [Capability; 5] = [
    Capability { name: "CAP_BPF", number: preflight::CAP_BPF, without: "no probe can be loaded" },
    Capability { name: "CAP_PERFMON", number: preflight::CAP_PERFMON, without: "no probe can be attached" },
    Capability { name: "CAP_NET_ADMIN", number: 12, without: "destinations have no names" },
    Capability {
        name: "CAP_SYS_PTRACE",
        number: 19,
        without: "other users' processes that were there before the agent are not known",
    },
    Capability {
        name: "CAP_DAC_READ_SEARCH",
        number: 2,
        without: "other users' credentials have no identifiers and no fingerprints",
    },
];

/// Which hierarchies of cgroups are mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// The unified one alone.
    V2,
    /// The unified one beside others.
    Hybrid,
    /// No unified one.
    V1,
    /// None.
    #[default]
    None,
}

impl CgroupMode {
    /// For people and for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CgroupMode::V2 => "v2",
            CgroupMode::Hybrid => "hybrid",
            CgroupMode::V1 => "v1",
            CgroupMode::None => "none",
        }
    }

    /// Whether there is a unified hierarchy.
    #[must_use]
    pub const fn unified(self) -> bool {
        matches!(self, CgroupMode::V2 | CgroupMode::Hybrid)
    }
}

/// Switches of the kernel, by name; `None` where their file cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// `kernel.unprivileged_bpf_disabled`
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `kernel.perf_event_paranoid`
    pub perf_event_paranoid: Option<i64>,
    /// `kernel.kptr_restrict`
    pub kptr_restrict: Option<i64>,
    /// `net.core.bpf_jit_enable`
    pub bpf_jit_enable: Option<i64>,
    /// `kernel.ftrace_enabled`
    pub ftrace_enabled: Option<i64>,
    /// `kprobes/enabled` of debugfs.
    pub kprobes_enabled: Option<i64>,
    /// `tracing_on` of tracefs: stops the kernel's own trace, and not the probes.
    pub tracing_on: Option<i64>,
}

/// A socket of the audit system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSocket {
    /// Its port, by convention the number of the process.
    pub port: u32,
    /// Name of the process of that number.
    pub process: Option<String>,
}

/// What a host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `uname -r`
    pub release: Option<String>,
    /// Size of the kernel's type description; `None` where there is none.
    pub btf_bytes: Option<u64>,
    /// Lockdown state; `None` where securityfs is not mounted.
    pub lockdown: Option<Lockdown>,
    /// Active security modules, in order; `None` where securityfs is not mounted.
    pub lsms: Option<Vec<String>>,
    /// `lsm=` of the kernel's command line.
    pub lsm_parameter: Option<String>,
    /// Those of [`BUILD_OPTIONS`] that are known, and whether they are set. Empty: nobody left the build's options here.
    pub built: BTreeMap<&'static str, bool>,
    /// Hierarchies of cgroups.
    pub cgroups: CgroupMode,
    /// Effective capabilities of this process, a bit each.
    pub capabilities: u64,
    /// Bytes that may be locked; `None`: as many as one likes, or unknown.
    pub memlock: Option<u64>,
    /// Switches.
    pub switches: Switches,
    /// Who has a socket of the audit system.
    pub audit: Vec<AuditSocket>,
}

impl Facts {
    /// Reads them below a root. What cannot be read is not known; nothing fails.
    #[must_use]
    pub fn gather(root: &Path) -> Self {
        let text = |path: &str| read(&root.join(path));
        let number = |path: &str| text(path)?.trim().parse().ok();
        let line = |path: &str| text(path).map(|text| text.trim().to_owned());
        let release = line("proc/sys/kernel/osrelease").filter(|release| !release.is_empty());
        let security = root.join("sys/kernel/security");
        let lsms = read(&security.join("lsm"));
        let lockdown = read(&security.join("lockdown"));
        Facts {
            btf_bytes: fs::metadata(root.join("sys/kernel/btf/vmlinux")).ok().map(|file| file.len()),
            // Without the file and with the other, the kernel has no lockdown.
            lockdown: (lockdown.is_some() || lsms.is_some())
                .then(|| lockdown.map_or(Lockdown::None, |text| preflight::lockdown(Some(&text)))),
            lsms: lsms.map(|list| list.trim().split(',').map(str::to_owned).collect()),
            lsm_parameter: text("proc/cmdline").as_deref().and_then(lsm_parameter),
            built: release.as_deref().map(|release| built(root, release)).unwrap_or_default(),
            cgroups: cgroup_mode(&text("proc/self/mountinfo").unwrap_or_default()),
            capabilities: capabilities(&text("proc/self/status").unwrap_or_default()),
            memlock: memlock(&text("proc/self/limits").unwrap_or_default()),
            switches: Switches {
                unprivileged_bpf_disabled: number("proc/sys/kernel/unprivileged_bpf_disabled"),
                perf_event_paranoid: number("proc/sys/kernel/perf_event_paranoid"),
                kptr_restrict: number("proc/sys/kernel/kptr_restrict"),
                bpf_jit_enable: number("proc/sys/net/core/bpf_jit_enable"),
                ftrace_enabled: number("proc/sys/kernel/ftrace_enabled"),
                kprobes_enabled: number("sys/kernel/debug/kprobes/enabled"),
                tracing_on: number("sys/kernel/tracing/tracing_on"),
            },
            audit: audit(root, &text("proc/net/netlink").unwrap_or_default()),
            release,
        }
    }

    /// Whether this process has a capability.
    #[must_use]
    pub const fn has(&self, capability: u32) -> bool {
        self.capabilities >> capability & 1 == 1
    }

    /// What it lacks of what the agent uses. `CAP_SYS_ADMIN` stands for what loads and attaches.
    #[must_use]
    pub fn missing(&self) -> Vec<Capability> {
        let admin = self.has(preflight::CAP_SYS_ADMIN);
        let stood_for = |number| admin && [preflight::CAP_BPF, preflight::CAP_PERFMON].contains(&number);
        CAPABILITIES.into_iter().filter(|one| !self.has(one.number) && !stood_for(one.number)).collect()
    }

    /// Whether maps and programs are counted against [`Facts::memlock`], as kernels before 5.11 do.
    #[must_use]
    pub fn counts_memory(&self) -> bool {
        self.release.as_deref().and_then(preflight::version).is_some_and(|version| version < (5, 11))
    }

    /// The `lsm=` that would make `bpf` active beside those that are: the same modules, without those that the kernel adds by
    /// itself. `None` where they are not known, or `bpf` is among them.
    #[must_use]
    pub fn lsm_with_bpf(&self) -> Option<String> {
        let active = self.lsms.as_ref().filter(|list| list.iter().all(|name| name != "bpf"))?;
        let named = active.iter().filter(|name| !["capability", "ima", "evm", ""].contains(&name.as_str()));
        let named: Vec<&str> = named.map(String::as_str).chain(["bpf"]).collect();
        Some(format!("lsm={}", named.join(",")))
    }
}

/// The beginning of a file, as text.
pub(super) fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn lsm_parameter(command_line: &str) -> Option<String> {
    let words = command_line.split_whitespace();
    // The kernel takes the last.
    words.filter_map(|word| word.strip_prefix("lsm=")).next_back().map(str::to_owned)
}

/// Build options, from where kernels and distributions leave them.
fn built(root: &Path, release: &str) -> BTreeMap<&'static str, bool> {
    let packed = || {
        let mut text = String::new();
        GzDecoder::new(File::open(root.join("proc/config.gz")).ok()?)
            .take(FILE_MAX)
            .read_to_string(&mut text)
            .ok()?;
        Some(text)
    };
    let plain = [format!("boot/config-{release}"), format!("usr/lib/modules/{release}/config")];
    let text = packed().or_else(|| plain.iter().find_map(|path| read(&root.join(path))));
    let Some(text) = text else { return BTreeMap::new() };
    let set = |option: &str| text.lines().any(|line| line.strip_prefix(option) == Some("=y"));
    BUILD_OPTIONS.into_iter().map(|option| (option, set(option))).collect()
}

fn cgroup_mode(mountinfo: &str) -> CgroupMode {
    let kinds = mountinfo.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next());
    let (mut one, mut two) = (false, false);
    for kind in kinds {
        one |= kind == "cgroup";
        two |= kind == "cgroup2";
    }
    match (one, two) {
        (false, true) => CgroupMode::V2,
        (true, true) => CgroupMode::Hybrid,
        (true, false) => CgroupMode::V1,
        (false, false) => CgroupMode::None,
    }
}

/// The effective set of a process's status; empty where it says none.
pub(super) fn capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

fn memlock(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Sockets of the audit system that are not the kernel's own.
fn audit(root: &Path, netlink: &str) -> Vec<AuditSocket> {
    let ports = netlink.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        (fields.next()? == NETLINK_AUDIT).then_some(())?;
        fields.next()?.parse().ok().filter(|port| *port != 0)
    });
    let process =
        |port: u32| read(&root.join(format!("proc/{port}/comm"))).map(|name| name.trim().to_owned());
    let mut found: Vec<AuditSocket> =
        ports.take(AUDIT_MAX).map(|port| AuditSocket { port, process: process(port) }).collect();
    found.sort_by_key(|socket| socket.port);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_lsms(list: &[&str]) -> Facts {
        Facts { lsms: Some(list.iter().map(|&name| name.to_owned()).collect()), ..Facts::default() }
    }

    #[test]
    fn the_parameter_keeps_what_is_active_and_leaves_out_what_the_kernel_adds() {
        let debian = with_lsms(&["lockdown", "capability", "landlock", "yama", "apparmor", "ima", "evm"]);
        assert_eq!(debian.lsm_with_bpf().unwrap(), "lsm=lockdown,landlock,yama,apparmor,bpf");
        assert_eq!(with_lsms(&["capability"]).lsm_with_bpf().unwrap(), "lsm=bpf");
        assert_eq!(with_lsms(&["capability", "bpf"]).lsm_with_bpf(), None);
        assert_eq!(Facts::default().lsm_with_bpf(), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        let unit = Facts { capabilities: 0b11 << 38 | 1 << 12 | 1 << 19 | 1 << 2, ..Facts::default() };
        assert_eq!(unit.missing(), []);
        let admin = Facts { capabilities: 1 << 21, ..Facts::default() };
        let names = |facts: &Facts| facts.missing().iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(&admin), ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"]);
        assert_eq!(names(&Facts::default()).len(), 5);
    }

    #[test]
    fn an_empty_folder_is_a_host_of_which_nothing_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Facts::gather(folder.path()), Facts::default());
    }

    #[test]
    fn build_options_are_found_where_they_are_left() {
        use std::io::Write;

        let text = "CONFIG_BPF_LSM=y\n# CONFIG_KPROBES is not set\nCONFIG_BPF_JIT_ALWAYS_ON=y\n";
        let packed = tempfile::tempdir().unwrap();
        fs::create_dir(packed.path().join("proc")).unwrap();
        let mut file = flate2::write::GzEncoder::new(
            File::create(packed.path().join("proc/config.gz")).unwrap(),
            flate2::Compression::fast(),
        );
        file.write_all(text.as_bytes()).unwrap();
        file.finish().unwrap();
        let plain = tempfile::tempdir().unwrap();
        fs::create_dir_all(plain.path().join("usr/lib/modules/6.1.0")).unwrap();
        fs::write(plain.path().join("usr/lib/modules/6.1.0/config"), text).unwrap();
        for root in [&packed, &plain] {
            let found = built(root.path(), "6.1.0");
            assert_eq!(found.get("CONFIG_BPF_LSM"), Some(&true));
            assert_eq!(found.get("CONFIG_KPROBES"), Some(&false));
            assert_eq!(found.get("CONFIG_BPF_JIT"), Some(&false), "another option that begins so");
        }
    }

    #[test]
    fn hierarchies_of_cgroups() {
        let (two, one) =
            ("29 23 0:26 / /c rw - cgroup2 cgroup2 rw\n", "30 23 0:27 / /p rw - cgroup cgroup rw,pids\n");
        assert_eq!(cgroup_mode(two), CgroupMode::V2);
        assert_eq!(cgroup_mode(one), CgroupMode::V1);
        assert_eq!(cgroup_mode(&format!("{one}{two}")), CgroupMode::Hybrid);
        assert_eq!(cgroup_mode(""), CgroupMode::None);
    }

    #[test]
    fn memory_is_counted_by_old_kernels() {
        let of = |release: &str| Facts { release: Some(release.into()), ..Facts::default() };
        assert!(of("5.10.0-30-amd64").counts_memory() && !of("5.11.0").counts_memory());
        assert_eq!(
            memlock("Max locked memory         65536                65536                bytes\n"),
            Some(65_536)
        );
        assert_eq!(
            memlock("Max locked memory         unlimited            unlimited            bytes\n"),
            None
        );
    }
}
