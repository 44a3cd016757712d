//! auditd as Debian has it, for guests that measure spoor beside it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::PATIENCE;

pub(crate) const LOG: &str = "/var/log/audit/audit.log";
/// Executions and connections, to which come the credentials: what spoor is asked for. Buffers and patience are Debian's.
pub(crate) const RULES: &str = "-D\n-b 8192\n--backlog_wait_time 60000\n-f 1\n\
    -a always,exit -F arch=b64 -S execve,execveat -k exec\n-a always,exit -F arch=b64 -S connect -k connect\n";
const LAUREL: &str = "/etc/audit/plugins.d/laurel.conf";

pub(crate) fn ctl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("/sbin/auditctl").args(arguments).output().context("auditctl")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "auditctl {arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// Starts it as it is installed, but for its log, which is neither turned over nor enriched: the least that it can do. Where
/// it hands on to laurel it writes none at all.
pub(crate) fn start(rules: &str, laurel: bool) -> Result<Child> {
    let conf = fs::read_to_string("/etc/audit/auditd.conf")?;
    let ours = |name: &str| match name {
        "log_format" => Some("RAW"),
        "write_logs" => Some(if laurel { "no" } else { "yes" }),
        "max_log_file_action" | "space_left_action" | "admin_space_left_action" => Some("IGNORE"),
        _ => None,
    };
    let lines = conf.lines().map(|line| match line.split_once(" = ") {
        Some((name, value)) => format!("{name} = {}\n", ours(name).unwrap_or(value)),
        None => format!("{line}\n"),
    });
    fs::write("/etc/audit/auditd.conf", lines.collect::<String>())?;
    if laurel || Path::new(LAUREL).exists() {
        let plugin = fs::read_to_string(LAUREL)?;
        let (from, to) =
            if laurel { ("active = no", "active = yes") } else { ("active = yes", "active = no") };
        fs::write(LAUREL, plugin.replace(from, to))?;
    }
    let child = Command::new("/sbin/auditd").arg("-n").stdout(Stdio::null()).spawn().context("auditd")?;
    let deadline = Instant::now() + PATIENCE;
    let there = |program: &str| {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
            .any(|comm| comm.trim() == program)
    };
    let pid = format!("pid {}\n", child.id());
    while !ctl(&["-s"])?.contains(&pid) || (laurel && !there("laurel")) {
        ensure!(Instant::now() < deadline, "auditd does not get ready");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    fs::write("/run/audit.rules", rules)?;
    ctl(&["-R", "/run/audit.rules"])?;
    ctl(&["-e", "1"])?;
    Ok(child)
}

/// How many records it has lost so far, as the kernel counts them.
pub(crate) fn lost() -> Result<u64> {
    let status = ctl(&["-s"])?;
    let lost = status.lines().find_map(|line| line.strip_prefix("lost ")).context("auditctl -s")?;
    Ok(lost.trim().parse()?)
}

/// Ends it, when nothing is asked of the kernel any more; gives what it told.
pub(crate) fn end(mut child: Child) -> Result<Value> {
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    let ended = child.wait()?;
    ensure!(ended.success(), "auditd ended with {ended}");
    Ok(told())
}

/// What is in its log: the bytes, and the calls by the keys of their rules.
fn told() -> Value {
    let log = fs::read(LOG).unwrap_or_default();
    let told = |key: &str| {
        log.split(|byte| *byte == b'\n')
            .filter(|line| {
                line.starts_with(b"type=SYSCALL") && memchr::memmem::find(line, key.as_bytes()).is_some()
            })
            .count()
    };
    json!({
        "bytes": log.len(), "exec": told("key=\"exec\""), "connect": told("key=\"connect\""),
        "secret": told("key=\"secret\""),
    })
}
