//! Hosts as folders, and what the doctor says of each. Their files have the form that kernels give them; the coverage is made
//! of the table of probes.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::kernel::probes::needs;
use crate::kernel::{Lockdown, OtherProgram, PreflightError, Refusal, SignalCoverage};
use crate::record::testing::golden;

const ALL_CAPABILITIES: &str = "Name:\tspoor\nCapEff:\t000001ffffffffff\n";
const V2: &str = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "30 23 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                  31 23 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max locked memory         65536                65536                bytes\n";
const NETLINK: &str = "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n\
     0000000081731022 9   0          00000000 0        0        0     2        0        6\n\
     0000000081731abc 9   812        00000000 0        0        0     2        0        9512\n\
     0000000081731abd 15  812        00000001 0        0        0     2        0        9513\n\
     0000000081731abe 9   301        00000001 0        0        0     2        0        9514\n";

/// A host: its files, below a root.
fn host(files: &[(&str, &str)]) -> Facts {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Facts::gather(root.path())
}

/// What an ordinary host says, but for what is named.
fn ordinary(release: &str, lsms: &str, others: &[(&str, &str)]) -> Facts {
    let config =
        "CONFIG_BPF_JIT=y\nCONFIG_BPF_LSM=y\nCONFIG_KPROBES=y\nCONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n";
    let config_path = format!("boot/config-{release}");
    let release = format!("{release}\n");
    let lsms = format!("{lsms}\n");
    let btf = "x".repeat(8192);
    let mut files = BTreeMap::from([
        ("proc/sys/kernel/osrelease", release.as_str()),
        ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
        ("proc/sys/kernel/perf_event_paranoid", "3\n"),
        ("proc/sys/kernel/kptr_restrict", "0\n"),
        ("proc/sys/kernel/ftrace_enabled", "1\n"),
        ("proc/sys/net/core/bpf_jit_enable", "1\n"),
        ("proc/self/status", ALL_CAPABILITIES),
        ("proc/self/mountinfo", V2),
        ("proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n"),
        ("sys/kernel/btf/vmlinux", btf.as_str()),
        ("sys/kernel/debug/kprobes/enabled", "1\n"),
        ("sys/kernel/security/lsm", lsms.as_str()),
        ("sys/kernel/security/lockdown", "[none] integrity confidentiality\n"),
        (config_path.as_str(), config),
    ]);
    files.extend(others.iter().copied());
    host(&files.into_iter().collect::<Vec<_>>())
}

/// Every need by the first of its ways that is allowed; what was not is refused.
fn covered(allowed: impl Fn(Tier) -> Result<(), &'static str>) -> Covered {
    let mut signals = Vec::new();
    for need in needs() {
        let mut refused = Vec::new();
        let mut taken = None;
        for way in need.ways {
            match allowed(way.tier) {
                Ok(()) => {
                    taken = Some(way);
                    break;
                }
                Err(why) => Refusal { tier: way.tier, why: why.into() }.say(&mut refused),
            }
        }
        signals.extend(need.signals.iter().map(|signal| SignalCoverage {
            signal: *signal,
            tier: taken.map(|way| way.tier),
            attach: Vec::new(),
            blind: taken.map_or_else(Vec::new, |way| way.blind.to_vec()),
            refused: refused.clone(),
        }));
    }
    Covered {
        signals,
        proofs: std::collections::BTreeSet::new(),
        kept: Vec::new(),
        not_kept: 0,
        canary_events: 0,
        canary_failure: None,
    }
}

fn findings(facts: Facts, others: Others, covered: Covered) -> Findings {
    let host = Host {
        release: facts.release.clone().unwrap_or_default(),
        lockdown: facts.lockdown.unwrap_or(Lockdown::Unknown),
        lsms: facts.lsms.clone(),
        boot_id: [0; 16],
        btf: Vec::new(),
        preempted: false,
        kprobes: true,
    };
    let verified = vec![("lsm_open".to_owned(), 20_660), ("tp_fork".to_owned(), 1_200)];
    Findings { facts, others, tried: Ok(Tried { host, covered, verified }) }
}

fn program(id: u32, kind: &str, holder: Option<(u32, &str)>, pin: Option<&str>) -> OtherProgram {
    OtherProgram {
        id,
        kind: kind.into(),
        name: format!("prog_{id}"),
        pins: pin.map(Into::into).into_iter().collect(),
        holders: holder.map(|(pid, name)| (pid, name.to_owned())).into_iter().collect(),
    }
}

/// Nothing is in the way; systemd and another agent have programs.
fn best() -> Findings {
    let facts = ordinary(
        "6.1.0-18-amd64",
        "lockdown,capability,landlock,yama,apparmor,tomoyo,bpf",
        &[
            ("proc/net/netlink", NETLINK),
            ("proc/812/comm", "auditd\n"),
            ("proc/301/comm", "systemd-journal\n"),
        ],
    );
    let mut programs: Vec<_> =
        (1..6).map(|id| program(id, "cgroup_device", Some((1, "systemd")), None)).collect();
    programs.push(program(9, "tracing", Some((900, "falco")), None));
    programs.push(program(10, "sched_cls", None, Some("/sys/fs/bpf/tc/globals/x")));
    programs.push(program(11, "sched_cls", None, None));
    findings(facts, Others { programs, unknown: None }, covered(|_| Ok(())))
}

/// bpf is no active module; trampolines do as well but for what only LSM hooks see.
fn without_lsm() -> Findings {
    let lsms = "lockdown,capability,landlock,yama,apparmor,ima,evm";
    let facts = ordinary(
        "5.15.0-91-generic",
        lsms,
        &[("proc/cmdline", "quiet lsm=lockdown,landlock,yama,apparmor\n")],
    );
    let allowed = |tier| {
        if tier == Tier::Lsm { Err("bpf is not among the active security modules (`lsm=`)") } else { Ok(()) }
    };
    findings(facts, Others::default(), covered(allowed))
}

/// An old kernel on which somebody switched off what could be, and counts memory.
fn switched_off() -> Findings {
    let facts = ordinary(
        "5.10.0-30-amd64",
        "capability,yama,apparmor",
        &[
            ("proc/sys/kernel/ftrace_enabled", "0\n"),
            ("proc/sys/net/core/bpf_jit_enable", "0\n"),
            ("sys/kernel/debug/kprobes/enabled", "0\n"),
            ("proc/self/limits", LIMITS),
        ],
    );
    let allowed = |tier| match tier {
        Tier::Lsm => Err("bpf is not among the active security modules (`lsm=`)"),
        Tier::Fentry => Err("fentry_open: Device or resource busy (os error 16)"),
        Tier::Kprobe => Err("attached, but the canary did not show: secret.open by kprobe"),
        Tier::Tracepoint | Tier::Cgroup => Ok(()),
    };
    findings(facts, Others::default(), covered(allowed))
}

/// cgroup v1 alone, no securityfs, by the capabilities of a unit of one's own.
fn old_cgroups() -> Findings {
    let mut facts = ordinary(
        "5.10.0-30-cloud-amd64",
        "",
        &[
            ("proc/self/mountinfo", V1),
            ("proc/self/status", "CapEff:\t000000c000080000\n"),
            ("proc/self/limits", LIMITS),
        ],
    );
    (facts.lsms, facts.lockdown, facts.built) = (None, None, BTreeMap::new());
    let allowed = |tier| match tier {
        Tier::Lsm => Err("attached, but the canary did not show: secret.open by lsm"),
        Tier::Cgroup => Err("packets_in: no cgroup v2 hierarchy is mounted"),
        Tier::Fentry | Tier::Kprobe | Tier::Tracepoint => Ok(()),
    };
    findings(
        facts,
        Others { programs: Vec::new(), unknown: Some("Operation not permitted".into()) },
        covered(allowed),
    )
}

/// The canary cannot act, so that nothing is proven and nothing can be said against the kernel.
fn canary() -> Findings {
    let mut covered = covered(|_| Err("attached, but the canary did not show it"));
    covered.canary_failure = Some("listen on loopback: Cannot assign requested address".into());
    findings(ordinary("6.12.0-1-amd64", "capability,bpf", &[]), Others::default(), covered)
}

/// Nobody in particular asks.
fn unprivileged() -> Findings {
    let facts =
        ordinary("6.1.0-18-amd64", "capability,bpf", &[("proc/self/status", "CapEff:\t0000000000000000\n")]);
    let others =
        Others { programs: Vec::new(), unknown: Some("Operation not permitted (os error 1)".into()) };
    Findings { facts, others, tried: Err(PreflightError::NotPermitted.into()) }
}

/// Nobody may read the kernel's memory.
fn locked_down() -> Findings {
    let lockdown = [("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")];
    let facts = ordinary("6.1.0-18-amd64", "lockdown,capability,bpf", &lockdown);
    Findings { facts, others: Others::default(), tried: Err(PreflightError::Lockdown.into()) }
}

fn hosts() -> Vec<(&'static str, Findings)> {
    vec![
        ("best", best()),
        ("without-lsm", without_lsm()),
        ("switched-off", switched_off()),
        ("old-cgroups", old_cgroups()),
        ("canary", canary()),
        ("unprivileged", unprivileged()),
        ("locked-down", locked_down()),
    ]
}

#[test]
fn what_is_said_of_hosts_is_golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/doctor");
    let mut made = BTreeMap::new();
    for (name, findings) in hosts() {
        made.insert(format!("{name}.txt"), findings.text().into_bytes());
        // One of each form: where the probes were tried, and where they could not be.
        if ["best", "unprivileged"].contains(&name) {
            made.insert(format!("{name}.json"), format!("{:#}\n", findings.json()).into_bytes());
        }
    }
    golden(&folder, &made);
}

#[test]
fn a_host_is_one_screen() {
    for (name, findings) in hosts() {
        let text = findings.text();
        let most = if name == "switched-off" { 60 } else { 45 };
        assert!(text.lines().count() <= most, "{name}: {} lines", text.lines().count());
        // A parameter to be copied stays whole.
        let long = text.lines().find(|line| line.chars().count() > 80 && !line.contains("lsm="));
        assert_eq!(long, None, "{name}");
    }
}

#[test]
fn the_code_says_what_the_page_says() {
    let code = |findings: Findings| findings.verdict().unwrap_or_else(|failure| failure.code());
    assert_eq!(code(best()), 0);
    assert_eq!(code(switched_off()), 0, "a worse tier covers");
    assert_eq!(code(old_cgroups()), 1);
    assert_eq!(code(unprivileged()), 10);
    assert_eq!(code(locked_down()), 13);
}

#[test]
fn every_hole_can_be_closed_or_says_where_to_look() {
    for (name, findings) in hosts() {
        for hole in findings.holes() {
            assert!(!hole.close.is_empty() && !hole.what.is_empty(), "{name}: {hole:?}");
            assert_eq!(findings.text().matches("to close it: ").count(), findings.holes().len(), "{name}");
        }
    }
    let way = |findings: &Findings| {
        findings.holes().iter().map(|hole| hole.close.clone()).collect::<Vec<_>>().join(
            "
",
        )
    };
    assert!(without_lsm().text().contains("`lsm=lockdown,landlock,yama,apparmor,bpf`"));
    let off = way(&switched_off());
    for wanted in ["`lsm=yama,apparmor,bpf`", "ftrace_enabled=1", "kprobes/enabled"] {
        assert!(off.contains(wanted), "{wanted}: {off}");
    }
    assert!(way(&canary()).contains("ip link set lo up"));
    let mut unbuilt = switched_off();
    unbuilt.facts.built.insert("CONFIG_BPF_LSM", false);
    assert!(!unbuilt.text().contains("boot with"), "a parameter that would not help");
    assert!(unbuilt.text().contains("without CONFIG_BPF_LSM"));
}
