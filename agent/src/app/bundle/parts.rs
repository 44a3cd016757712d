//! The parts, each by itself: one that cannot be had keeps none of the others out.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::doctor;
use super::{Content, Options, Part};
use crate::config::Config;
use crate::credential::redact;
use crate::record::{View, rfc3339};
use crate::report::Standing;
use crate::status::socket;
use crate::store::{self, Reader};

/// Records of each type.
const RECORDS_MAX: usize = 200;
/// Lines of the log.
const LINES_MAX: &str = "500";
/// How long the journal may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest file of the host that is read.
const FILE_MAX: u64 = 64 << 10;
/// Behind every record: numbers of the database have a sign.
const NEWEST: u64 = u64::MAX >> 1;

/// All parts.
pub(super) fn all(options: &Options) -> Vec<Part> {
    let store = &options.config.store.path;
    let reader = || reader(store);
    let part = |name, about, content| Part { name, about, content };
    let records = |kind: &str| reader().and_then(|reader| records(&reader, kind));
    vec![
        part(
            "host.json",
            "version of spoor, kernel, and what of it matters to probes",
            Ok(Content::Json(vec![host()])),
        ),
        part("doctor.json", "`spoor doctor --json`: what the probes can see here", examined(options)),
        part("status.json", "`spoor status --json` of the agent that runs", status(store)),
        part("config.toml", "the config, without comments and without what may be secret", config(options)),
        part(
            "store.json",
            "the store: its size, its reach, and whether it verifies",
            reader().and_then(|found| verified(store, &found)),
        ),
        part("sinks.json", "how each sink stands", reader().and_then(|found| sinks(store, &found))),
        part("coverage.jsonl", "the newest coverage records", records("coverage")),
        part("gaps.jsonl", "the newest gap records", records("gap")),
        part("heartbeats.jsonl", "the newest heartbeats, with all counters", records("heartbeat")),
        part("log.txt", "the last lines of the journal of spoor.service", log()),
    ]
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn reader(store: &Path) -> Result<Reader, String> {
    if !store.join(store::STATE_FILE).is_file() {
        return Err(format!("there is no store in {}, or it may not be read", store.display()));
    }
    Reader::open(store).map_err(text)
}

fn file(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => redact::printable(String::from_utf8_lossy(&bytes).trim().as_bytes()),
        Err(error) => format!("({error})"),
    }
}

/// What of the host matters to probes.
fn host() -> Value {
    let os = file("/etc/os-release");
    let os = os.split("\\n").filter(|line| line.starts_with("ID=") || line.starts_with("VERSION_ID="));
    let os: Vec<&str> = os.filter_map(|line| Some(line.split_once('=')?.1.trim_matches('"'))).collect();
    json!({
        "agent_version": env!("CARGO_PKG_VERSION"),
        "kernel": file("/proc/sys/kernel/osrelease"),
        "os": os.join(" "),
        "lsm": file("/sys/kernel/security/lsm"),
        "lockdown": file("/sys/kernel/security/lockdown"),
        "btf_bytes": fs::metadata("/sys/kernel/btf/vmlinux").map(|meta| meta.len()).ok(),
        "unprivileged_bpf_disabled": file("/proc/sys/kernel/unprivileged_bpf_disabled"),
        "perf_event_paranoid": file("/proc/sys/kernel/perf_event_paranoid"),
        "bpf_jit_enable": file("/proc/sys/net/core/bpf_jit_enable"),
    })
}

fn examined(options: &Options) -> Result<Content, String> {
    if !options.doctor {
        return Err("not asked for".to_owned());
    }
    Ok(Content::Json(vec![doctor::examine(&[], Some(&options.config.store.path)).json()]))
}

fn status(store: &Path) -> Result<Content, String> {
    let status = socket::status(store).map_err(text)?;
    serde_json::to_value(status).map(|value| Content::Json(vec![value])).map_err(text)
}

/// What may stand in a config and be nobody's business: secrets do not, but the way to them does.
fn is_private(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["token", "password", "secret", "key", "header", "auth", "user", "certificate"]
        .iter()
        .any(|word| key.contains(word))
}

/// A value of a config as it may be shown.
fn shown(key: &str, value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::String(_) if is_private(key) => toml::Value::String("[masked]".to_owned()),
        toml::Value::String(text) => {
            let argument = redact::argv(&["x".into(), text.as_bytes().to_vec()]);
            toml::Value::String(argument.into_iter().nth(1).unwrap_or_default())
        }
        toml::Value::Array(list) => toml::Value::Array(list.iter().map(|one| shown(key, one)).collect()),
        toml::Value::Table(table) if is_private(key) => {
            toml::Value::Table(table.keys().map(|key| (key.clone(), "[masked]".into())).collect())
        }
        toml::Value::Table(table) => {
            toml::Value::Table(table.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect())
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => value.clone(),
    }
}

fn config(options: &Options) -> Result<Content, String> {
    let Some(path) = &options.config_path else { return Err("there is none: the defaults hold".to_owned()) };
    let text_of = fs::read_to_string(path).map_err(text)?;
    masked(&text_of)
}

/// A config without comments, for these may say anything.
pub(super) fn masked(config: &str) -> Result<Content, String> {
    let parsed: toml::Table =
        config.parse().map_err(|_| "it is no TOML; `spoor check` tells where".to_owned())?;
    toml::to_string(&shown("", &toml::Value::Table(parsed))).map(Content::Text).map_err(text)
}

fn records(reader: &Reader, kind: &str) -> Result<Content, String> {
    let mut found = reader.before(kind, NEWEST, RECORDS_MAX).map_err(text)?;
    found.reverse();
    let values =
        found.iter().filter_map(|record| View::parse(&record.body).ok().map(|view| view.value().clone()));
    Ok(Content::Json(values.collect()))
}

fn verified(directory: &Path, reader: &Reader) -> Result<Content, String> {
    let usage = store::usage(directory, reader).map_err(text)?;
    let verified = match store::verify(directory, &[]).map_err(text) {
        Ok(found) => json!({
            "verifies": true, "records": found.records, "first": found.first, "last": found.end.seq,
            "missing_numbers": found.missing, "unsigned": found.unsigned,
        }),
        Err(why) => json!({ "verifies": false, "why": why }),
    };
    Ok(Content::Json(vec![json!({
        "files": usage.files, "bytes": usage.bytes, "last_seq": usage.last_seq,
        "oldest": usage.oldest_ns.map(rfc3339), "newest": usage.newest_ns.map(rfc3339), "evidence": verified,
    })]))
}

fn sinks(directory: &Path, reader: &Reader) -> Result<Content, String> {
    let states = store::sinks(directory).map_err(text)?;
    let standing = Standing::read(reader, states).map_err(text)?;
    let lines = standing.json();
    Ok(Content::Json(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
}

/// The end of the journal. Whoever reads it is not waited for without end.
fn log() -> Result<Content, String> {
    let mut command = Command::new("journalctl");
    command.args(["--unit", "spoor", "--lines", LINES_MAX, "--no-pager", "--output", "short-iso", "--quiet"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let child = child.as_mut().map_err(|error| format!("journalctl: {error}"))?;
    let Some(out) = child.stdout.take() else { return Err("journalctl says nothing".to_owned()) };
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = out.take(u64::try_from(super::PART_MAX).unwrap_or(u64::MAX)).read_to_end(&mut bytes);
        read.map(|_| bytes)
    });
    let deadline = Instant::now() + PATIENCE;
    while !reading.is_finished() && Instant::now() < deadline {
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // Gone already, or to be.
    let _ = child.kill();
    let _ = child.wait();
    let bytes = reading.join().map_err(|_| "the journal cannot be read".to_owned())?.map_err(text)?;
    let lines = String::from_utf8_lossy(&bytes);
    let lines: String = lines.lines().map(|line| redact::printable(line.as_bytes()) + "\n").collect();
    if lines.is_empty() {
        Err("the journal has nothing of spoor, or may not be read".to_owned())
    } else {
        Ok(Content::Text(lines))
    }
}

/// What this host calls its people, services, hosts and sinks.
pub(super) fn names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = config.sinks.iter().map(|sink| sink.name.clone()).collect();
    names.extend(nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()));
    for table in ["/etc/passwd", "/etc/group"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        names.extend(table.lines().filter_map(|line| line.split(':').next().map(str::to_owned)));
    }
    if let Ok(reader) = reader(&config.store.path) {
        let inventory = reader.before("inventory", NEWEST, 4 * RECORDS_MAX).unwrap_or_default();
        for view in inventory.iter().filter_map(|record| View::parse(&record.body).ok()) {
            names.extend(
                ["actor.id", "actor.user", "host.name"]
                    .iter()
                    .filter_map(|key| view.text(key).map(str::to_owned)),
            );
        }
    }
    // The parts of a name are names: `systemd:backup.service`. Those that are our own words are nobody's.
    let parts: Vec<String> =
        names.iter().flat_map(|name| name.split([':', '/', '.', '@'])).map(str::to_owned).collect();
    let ours = [
        "root",
        "systemd",
        "service",
        "user",
        "container",
        "session",
        "cron",
        "timer",
        "usr",
        "bin",
        "daemon",
        "sys",
        "kubernetes",
    ];
    names.extend(parts);
    names.retain(|name| !ours.contains(&name.as_str()));
    names
}
