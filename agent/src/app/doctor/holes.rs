//! What stands in the way, and how to mend it. Pure: facts and coverage in, words out.

use serde_json::{Value, json};

use crate::kernel::probes::{Signal, Tier, needs};
use crate::kernel::{Covered, Facts, SignalCoverage};

/// Something that is not seen, or could be better, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// What is missing.
    pub(super) what: Vec<String>,
    /// How to close it.
    pub(super) close: String,
}

impl Hole {
    fn new(what: impl Into<String>, close: impl Into<String>) -> Self {
        Hole { what: vec![what.into()], close: close.into() }
    }

    pub(super) fn json(&self) -> Value {
        json!({"what": self.what, "to_close": self.close})
    }
}

const UNIFIED: &str = "`mount -t cgroup2 none /sys/fs/cgroup/unified` works beside v1";

/// Everything there is, gravest first. Without coverage, what the facts alone tell.
pub(super) fn of(facts: &Facts, covered: Option<&Covered>) -> Vec<Hole> {
    let mut found = Vec::new();
    if let Some(failure) = covered.and_then(|covered| covered.canary_failure.as_ref()) {
        // What does not show for this reason says nothing about the kernel.
        let what = format!("the canary, which is to prove what is covered, could not act: {failure}");
        found.push(Hole::new(
            what,
            "mend that first, and look again; `ip link set lo up` if loopback is down",
        ));
    } else if let Some(covered) = covered {
        let all = [uncovered(facts, &covered.signals), tiers(facts, &covered.signals)].concat();
        all.into_iter().for_each(|hole| merge(&mut found, hole));
    }
    host(facts, covered.is_some()).into_iter().for_each(|hole| merge(&mut found, hole));
    found
}

/// Signals that nothing sees.
fn uncovered(facts: &Facts, signals: &[SignalCoverage]) -> Vec<Hole> {
    let mut found: Vec<Hole> = Vec::new();
    for signal in signals.iter().filter(|signal| signal.tier.is_none()) {
        let name = signal.signal.name();
        let why = signal.refused.last().map_or("nothing was tried", |refused| refused.why.as_str());
        let close = if signal.signal != Signal::Names {
            better(facts, signal)
        } else if !facts.cgroups.unified() {
            UNIFIED.into()
        } else if facts.missing().iter().any(|one| one.name == "CAP_NET_ADMIN") {
            "grant CAP_NET_ADMIN, as the unit of the package does".into()
        } else {
            "`spoor doctor --json` has what the kernel said".into()
        };
        found.push(Hole::new(format!("NOT COVERED: {name} ({why})"), close));
    }
    found
}

/// What the tier in use does not see and the best one would.
fn tiers(facts: &Facts, signals: &[SignalCoverage]) -> Vec<Hole> {
    let worse = |signal: &SignalCoverage| -> Vec<&str> {
        signal.blind.iter().copied().filter(|blind| !best(signal.signal).contains(blind)).collect()
    };
    let holed = signals.iter().filter(|signal| signal.tier.is_some() && !worse(signal).is_empty());
    let mut found: Vec<Hole> = Vec::new();
    // Signals of one need are seen by the same probes, and miss the same.
    for alike in
        holed.collect::<Vec<_>>().chunk_by(|one, next| one.tier == next.tier && worse(one) == worse(next))
    {
        let names: Vec<&str> = alike.iter().map(|signal| signal.signal.name()).collect();
        let (Some(first), names) = (alike.first(), names.join(", ")) else { continue };
        let tier = first.tier.map_or("none", Tier::name);
        found.push(Hole::new(
            format!("{names} by {tier}, not seen: {}", worse(first).join("; ")),
            better(facts, first),
        ));
    }
    found
}

/// One hole for all that is closed by the same.
fn merge(found: &mut Vec<Hole>, new: Hole) {
    match found.iter_mut().find(|hole| hole.close == new.close) {
        Some(hole) => hole.what.extend(new.what),
        None => found.push(new),
    }
}

/// What the best way to see a signal does not see either.
fn best(signal: Signal) -> &'static [&'static str] {
    let need = needs().find(|need| need.signals.contains(&signal));
    need.and_then(|need| need.ways.first()).map_or(&[], |way| way.blind)
}

/// What no tier sees, each once, in the order of signals.
pub(super) fn limits(signals: &[SignalCoverage]) -> Vec<&'static str> {
    let mut found: Vec<&str> = Vec::new();
    for signal in signals {
        for blind in signal.blind.iter().filter(|blind| best(signal.signal).contains(blind)) {
            if !found.contains(blind) {
                found.push(blind);
            }
        }
    }
    found
}

/// How this host could see a signal by a better tier.
fn better(facts: &Facts, signal: &SignalCoverage) -> String {
    let refused = |tier| signal.refused.iter().find(|refused| refused.tier == tier);
    if signal.refused.iter().any(|refused| refused.why == "not allowed by the options") {
        return "leave `--tiers` out".into();
    }
    let lacks = |option| facts.built.get(option) == Some(&false);
    let mut ways = Vec::new();
    if refused(Tier::Lsm).is_some() && !lacks("CONFIG_BPF_LSM") {
        ways.extend(boot_with_bpf(facts));
        if facts.lsms.is_none() {
            ways.push("mount securityfs, and look again: it tells whether bpf is an active module".into());
        }
    }
    if refused(Tier::Fentry).is_some() && facts.switches.ftrace_enabled == Some(0) {
        ways.push("`sysctl kernel.ftrace_enabled=1`".into());
    }
    if refused(Tier::Kprobe).is_some() && facts.switches.kprobes_enabled == Some(0) {
        ways.push("`echo 1 > /sys/kernel/debug/kprobes/enabled`".into());
    }
    if ways.is_empty() || facts.lsms.is_none() {
        let wanted = ["CONFIG_BPF_LSM", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "CONFIG_KPROBES"];
        // Where the build is not known, any of them may be what is missing.
        let named: Vec<&str> =
            wanted.into_iter().filter(|&option| facts.built.is_empty() || lacks(option)).collect();
        ways.push(match named.as_slice() {
            [] => "`spoor doctor --json` has what the kernel said of each tier".into(),
            named => format!("a kernel built with {}", named.join(" or ")),
        });
    }
    ways.join("; or ")
}

/// The boot parameter that would make bpf an active module, where that is all it takes.
pub(super) fn boot_with_bpf(facts: &Facts) -> Option<String> {
    let parameter = facts.lsm_with_bpf().filter(|_| facts.built.get("CONFIG_BPF_LSM") != Some(&false))?;
    Some(match &facts.lsm_parameter {
        Some(old) => format!("boot with `{parameter}` in place of `lsm={old}`"),
        None => format!("boot with `{parameter}`"),
    })
}

/// What the host itself lacks.
fn host(facts: &Facts, tried: bool) -> Vec<Hole> {
    let mut found = Vec::new();
    for capability in facts.missing() {
        let what = format!("without {}: {}", capability.name, capability.without);
        found.push(Hole::new(what, "run it as root, or by the unit of the package"));
    }
    if facts.btf_bytes.is_none() && facts.release.is_some() {
        let what = "no type description of the kernel at /sys/kernel/btf/vmlinux";
        found.push(Hole::new(what, "mount /sys, else a kernel built with CONFIG_DEBUG_INFO_BTF=y"));
    }
    if facts.lockdown.is_none() {
        let what = "whether the kernel is locked down, and which security modules are active, is not known";
        found.push(Hole::new(what, "`mount -t securityfs securityfs /sys/kernel/security`"));
    }
    if !facts.cgroups.unified() {
        let mut what = String::from("no cgroup v2 hierarchy: a scope cannot be watched");
        if !tried {
            // With coverage, the signal itself says it.
            what.push_str(", destinations have no names");
        }
        found.push(Hole::new(what, UNIFIED));
    }
    if facts.switches.bpf_jit_enable == Some(0) {
        let what = "BPF programs are interpreted, which makes each watched act dearer";
        found.push(Hole::new(what, "`sysctl net.core.bpf_jit_enable=1`"));
    }
    if let (true, Some(bytes)) = (facts.counts_memory(), facts.memlock) {
        let kilobytes = bytes / 1024;
        let what =
            format!("kernels before 5.11 count maps as locked memory, of which {kilobytes} KiB are allowed");
        found.push(Hole::new(what, "`ulimit -l unlimited`, as `LimitMEMLOCK` of the unit does"));
    }
    found
}
