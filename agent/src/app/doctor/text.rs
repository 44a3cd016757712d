//! The page for people: 80 columns, one screen on an ordinary host.

use std::collections::BTreeMap;

use super::holes::{self, Hole};
use super::{Findings, Tried};
use crate::kernel::probes::Tier;
use crate::kernel::{AuditSocket, CAPABILITIES, Facts, OtherProgram, Others};

const WIDTH: usize = 80;
const LABEL: usize = 12;
/// Most kinds of other programs, and sockets, that a line names.
const NAMED_MAX: usize = 6;

pub(super) fn page(findings: &Findings) -> String {
    let Findings { facts, others, tried } = findings;
    let mut out = String::new();
    field(&mut out, "kernel", facts.release.as_deref().unwrap_or("unknown: /proc is not mounted"));
    field(&mut out, "btf", &facts.btf_bytes.map_or("none".into(), |bytes| format!("{} KiB", bytes / 1024)));
    field(&mut out, "lockdown", facts.lockdown.map_or(UNMOUNTED, crate::kernel::Lockdown::name));
    field(&mut out, "lsm", &lsms(facts));
    field(&mut out, "cgroups", facts.cgroups.name());
    field(&mut out, "privileges", &privileges(facts));
    field(&mut out, "switches", &switches(facts));
    field(&mut out, "other BPF", &programs(others));
    field(&mut out, "audit", &audit(&facts.audit));
    if let Ok(tried) = tried {
        signals(&mut out, tried);
    }
    let found = findings.holes();
    for hole in &found {
        tell(&mut out, hole);
    }
    if let Ok(tried) = tried {
        let limits = holes::limits(&tried.covered.signals);
        if !limits.is_empty() {
            out.push('\n');
            let text = format!(
                "No tier of any kernel sees {} more things: `--json` has them (`limits`), THREATS.md what comes of it.",
                limits.len()
            );
            wrapped(&mut out, &text, "", "");
        }
        verifier(&mut out, &tried.verified);
        if found.is_empty() {
            out.push_str("\nNo holes: every signal is covered as well as by the best tier.\n");
        }
    }
    out
}

const UNMOUNTED: &str = "unknown: securityfs is not mounted";

fn field(out: &mut String, label: &str, text: &str) {
    let hanging = " ".repeat(LABEL);
    wrapped(out, text, &format!("{label:<LABEL$}"), &hanging);
}

/// Words in lines of 80 columns. What is longer has a line of its own, and stays whole; so does what stands between
/// backticks, since it is to be copied.
fn wrapped(out: &mut String, text: &str, first: &str, hanging: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words(text) {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            hanging.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

fn words(text: &str) -> Vec<&str> {
    let mut inside = false;
    let split = text.split(|letter: char| {
        inside ^= letter == '`';
        letter == ' ' && !inside
    });
    split.collect()
}

fn lsms(facts: &Facts) -> String {
    let Some(list) = &facts.lsms else { return UNMOUNTED.into() };
    let names = list.join(", ");
    if list.iter().any(|name| name == "bpf") {
        return names;
    }
    let how =
        holes::boot_with_bpf(facts).unwrap_or_else(|| "this kernel was built without CONFIG_BPF_LSM".into());
    format!("{names}; bpf is not active: {how}")
}

fn privileges(facts: &Facts) -> String {
    let short = |name: &'static str| name.trim_start_matches("CAP_");
    let missing: Vec<&str> = facts.missing().iter().map(|one| short(one.name)).collect();
    let of = CAPABILITIES.len();
    match missing.len() {
        0 => format!("all {of} capabilities that are used"),
        _ => format!("{} of {of} capabilities; missing: {}", of - missing.len(), missing.join(", ")),
    }
}

fn switches(facts: &Facts) -> String {
    let switches = &facts.switches;
    let named = [
        ("bpf_jit_enable", switches.bpf_jit_enable),
        ("ftrace_enabled", switches.ftrace_enabled),
        ("kprobes", switches.kprobes_enabled),
        ("unprivileged_bpf_disabled", switches.unprivileged_bpf_disabled),
        ("perf_event_paranoid", switches.perf_event_paranoid),
        ("kptr_restrict", switches.kptr_restrict),
    ];
    let shown = named.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?)));
    let shown = shown.collect::<Vec<_>>();
    if shown.is_empty() { "unknown".into() } else { shown.join(" ") }
}

fn programs(others: &Others) -> String {
    if let (true, Some(why)) = (others.programs.is_empty(), &others.unknown) {
        return format!("unknown: {why}");
    }
    let mut kinds: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for program in &others.programs {
        *kinds.entry((&program.kind, owner(program))).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let named = kinds.iter().take(NAMED_MAX).map(|((kind, owner), count)| format!("{count} {kind}{owner}"));
    match (others.programs.len(), kinds.len().saturating_sub(NAMED_MAX)) {
        (0, _) => "none".into(),
        (all, 0) => format!("{all} programs: {}", named.collect::<Vec<_>>().join(", ")),
        (all, more) => format!("{all} programs: {}, {more} more kinds", named.collect::<Vec<_>>().join(", ")),
    }
}

/// Whose a program is, as far as anybody knows.
fn owner(program: &OtherProgram) -> String {
    match (program.holders.iter().next(), program.pins.first()) {
        (Some((_, name)), _) => format!(" ({name})"),
        (None, Some(_)) => " (pinned)".into(),
        (None, None) => String::new(),
    }
}

fn audit(sockets: &[AuditSocket]) -> String {
    let named = sockets.iter().take(NAMED_MAX).map(|socket| match &socket.process {
        Some(name) => format!("{name} {}", socket.port),
        None => format!("port {}", socket.port),
    });
    match sockets.len() {
        0 => "nobody has a socket of it; spoor uses none".into(),
        _ => format!(
            "{}; spoor uses none, so neither is in the other's way",
            named.collect::<Vec<_>>().join(", ")
        ),
    }
}

fn signals(out: &mut String, tried: &Tried) {
    out.push('\n');
    for tier in Tier::ALL.map(Some).into_iter().chain([None]) {
        let of = tried.covered.signals.iter().filter(|signal| signal.tier == tier);
        let names: Vec<&str> = of.map(|signal| signal.signal.name()).collect();
        if !names.is_empty() {
            field(out, tier.map_or("NOT COVERED", Tier::name), &names.join(", "));
        }
    }
}

fn tell(out: &mut String, hole: &Hole) {
    out.push('\n');
    for what in &hole.what {
        wrapped(out, what, "- ", "  ");
    }
    wrapped(out, &format!("to close it: {}", hole.close), "  ", "    ");
}

fn verifier(out: &mut String, verified: &[(String, u32)]) {
    let Some((name, most)) = verified.iter().max_by_key(|(_, count)| *count) else { return };
    let all = verified.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
    out.push('\n');
    field(
        out,
        "verifier",
        &format!("{} programs, {all} instructions in all, most in {name} ({most})", verified.len()),
    );
}
