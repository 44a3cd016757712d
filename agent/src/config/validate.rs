//! From what the file says to what the agent is built from. Pure: asks nothing of the host.

use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Code, Report};
use super::keys::FINDINGS;
use super::raw::{At, Table};
use super::{Config, Kubernetes, Level, PodsSource, sinks, telemetry, unit};

/// Most declared paths.
const PATHS_MAX: usize = 1024;
/// Most sinks.
const SINKS_MAX: usize = 32;
const SINKS_OVER: usize = SINKS_MAX + 1;
/// Longest path, as the kernel has it.
const PATH_BYTES_MAX: usize = 4095;
const SECOND: Duration = Duration::from_secs(1);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Always gives a config; it is good where the report stayed empty. Keys left out keep their defaults.
pub(super) fn validate(tables: &[Table], report: &mut Report) -> Config {
    let mut config = Config::default();
    let mut sinks_seen = 0;
    for table in tables {
        match table.section {
            "scope" => config.scope.cgroups = cgroups(table.list("cgroups"), report),
            "credentials" => {
                config.credentials.paths = globs(table.list("paths"), report);
                config.credentials.catalogue = path(table, "catalogue", report);
                config.credentials.fingerprint_key = path(table, "fingerprint_key", report);
                set(&mut config.credentials.environment, table.flag("environment"));
            }
            "kubernetes" => {
                config.kubernetes = Kubernetes {
                    pods: pods(table, report),
                    token: path(table, "token", report),
                    ca: path(table, "ca", report),
                    trust_domain: trust_domain(table, report),
                };
            }
            "store" => store(table, &mut config, report),
            "chain" => chain(table, &mut config, report),
            "findings" => {
                set(&mut config.findings.learn, duration(table, "learn", WEEK * 52, report));
                config.findings.off = words(table.list("off"), FINDINGS, report);
            }
            "canary" => set(&mut config.canary.every, duration(table, "every", WEEK, report)),
            "inventory" => {
                set(&mut config.inventory.first, duration(table, "first", WEEK, report));
                set(&mut config.inventory.every, duration(table, "every", WEEK, report));
            }
            "purposes" => set(&mut config.purposes.path, path(table, "path", report)),
            "sink" => {
                sinks_seen += 1;
                match sinks_seen {
                    0..=SINKS_MAX => sinks::sink(table, &mut config.sinks, report),
                    SINKS_OVER => {
                        let message = format!("there are more than {SINKS_MAX} sinks");
                        report.add(Code::TooMany, table.span.clone(), message);
                    }
                    _ => {}
                }
            }
            "telemetry" => config.telemetry.listen = telemetry::listen(table, report),
            "log" => {
                set(&mut config.log.level, level(table, "level", report));
                if let Some((word, _)) = table.text("probes") {
                    config.log.probes = match word {
                        "off" => None,
                        _ => level(table, "probes", report),
                    };
                }
            }
            _ => {}
        }
    }
    config
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn pods(table: &Table, report: &mut Report) -> Option<PodsSource> {
    let (text, _) = table.text("pods")?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Some(PodsSource::Url(text.to_owned())),
        _ => path(table, "pods", report).map(PodsSource::File),
    }
}

fn store(table: &Table, config: &mut Config, report: &mut Report) {
    set(&mut config.store.path, path(table, "path", report));
    set(&mut config.store.keep, duration(table, "keep", WEEK * 520, report));
    set(&mut config.store.max_bytes, size(table, "max_bytes", 1 << 20..=NO_DISK, report));
}

/// No disk is that large; `SQLite` counts in signed numbers.
const NO_DISK: u64 = i64::MAX.unsigned_abs();

pub(super) fn size(table: &Table, key: &str, fits: RangeInclusive<u64>, report: &mut Report) -> Option<u64> {
    let (text, span) = table.text(key)?;
    match unit::size(text) {
        None => report.add_help(
            Code::BadSize,
            span,
            format!("`{text}` is not a size"),
            "a whole number and B, KiB, MiB, GiB, TiB, KB, MB, GB or TB, as in \"2GiB\"",
        ),
        Some(bytes) if bytes < *fits.start() => {
            report.add(Code::OutOfRange, span, format!("`{key}` is at least {}", unit::named(*fits.start())));
        }
        Some(bytes) if bytes > *fits.end() => {
            report.add(Code::OutOfRange, span, format!("`{key}` is at most {}", unit::named(*fits.end())));
        }
        Some(bytes) => return Some(bytes),
    }
    None
}

fn chain(table: &Table, config: &mut Config, report: &mut Report) {
    set(&mut config.chain.quiet, duration(table, "quiet", WEEK, report));
    set(&mut config.chain.max_actions, count(table, "max_actions", report));
    set(&mut config.chain.max_open, count(table, "max_open", report));
}

fn trust_domain(table: &Table, report: &mut Report) -> Option<String> {
    let (name, span) = table.text("trust_domain")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 255 || !name.chars().all(fits) {
        let message = format!("`{name}` is not a trust domain");
        report.add_help(
            Code::BadName,
            span,
            message,
            "1 to 255 of a-z, 0-9, `.`, `-` and `_`, without `spiffe://`",
        );
    }
    Some(name.to_owned())
}

/// Whether a text is a name: 1 to 64 of a-z, 0-9 and -.
pub(crate) fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.len() <= 64 && text.chars().all(fits)
}

/// Words of a list that are known.
fn words(found: &[At<String>], known: &[&str], report: &mut Report) -> Vec<String> {
    let mut words = Vec::new();
    for At { value, span } in found {
        if !known.contains(&value.as_str()) {
            bad_word(value, span.clone(), known, report);
        } else if words.contains(value) {
            report.add(Code::DuplicateItem, span.clone(), "this is here twice");
        } else {
            words.push(value.clone());
        }
    }
    words
}

fn level(table: &Table, key: &str, report: &mut Report) -> Option<Level> {
    const LEVELS: [Level; 5] = [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace];
    let (word, span) = table.text(key)?;
    let level = LEVELS.into_iter().find(|level| level.as_str() == word);
    if level.is_none() {
        let mut words = LEVELS.map(Level::as_str).to_vec();
        if key == "probes" {
            words.insert(0, "off");
        }
        bad_word(word, span, &words, report);
    }
    level
}

pub(super) fn bad_word(word: &str, span: Range<usize>, words: &[&str], report: &mut Report) {
    let help = match words {
        [only] => format!("there is only: {only}"),
        _ => format!("one of: {}", words.join(", ")),
    };
    report.add_help(Code::BadWord, span, format!("`{word}` is not known here"), help);
}

fn duration(table: &Table, key: &str, most: Duration, report: &mut Report) -> Option<Duration> {
    let (text, span) = table.text(key)?;
    match unit::duration(text) {
        None => report.add_help(
            Code::BadDuration,
            span,
            format!("`{text}` is not a duration"),
            "a whole number and s, m, h, d or w, as in \"15m\"",
        ),
        Some(time) if time < SECOND => {
            report.add(Code::OutOfRange, span, format!("`{key}` is at least 1s"));
        }
        Some(time) if time > most => {
            let weeks = most.as_secs() / WEEK.as_secs();
            report.add(Code::OutOfRange, span, format!("`{key}` is at most {weeks}w"));
        }
        Some(time) => return Some(time),
    }
    None
}

fn count(table: &Table, key: &str, report: &mut Report) -> Option<u32> {
    let (number, span) = table.count(key)?;
    let fits = u32::try_from(number).ok().filter(|number| (16..=1 << 20).contains(number));
    if fits.is_none() {
        report.add(Code::OutOfRange, span, format!("`{key}` is from 16 to 1048576"));
    }
    fits
}

pub(super) fn path(table: &Table, key: &str, report: &mut Report) -> Option<PathBuf> {
    let (text, span) = table.text(key)?;
    match path_fault(text) {
        None => Some(PathBuf::from(text)),
        Some(fault) => {
            report.add(Code::BadPath, span, format!("`{text}` {fault}"));
            None
        }
    }
}

/// Why a text is no absolute path with one meaning.
pub(crate) fn path_fault(text: &str) -> Option<&'static str> {
    if text.starts_with('~') {
        Some("is not absolute: nobody expands `~` for a daemon")
    } else if !text.starts_with('/') {
        Some("is not absolute")
    } else if text.contains('\0') {
        Some("has a NUL in it")
    } else if text.len() > PATH_BYTES_MAX {
        Some("is longer than a path can be")
    } else if text.split('/').any(|name| name == ".." || name == ".") {
        Some("has `.` or `..` in it")
    } else if text.len() > 1 && (text.ends_with('/') || text.contains("//")) {
        Some("has a `/` too many")
    } else {
        None
    }
}

fn cgroups(items: &[At<String>], report: &mut Report) -> Vec<String> {
    let most = spoor_wire::control::SCOPE_MAX;
    if let Some(first) = items.get(most) {
        let message = format!("at most {most} cgroups can be a scope");
        report.add_help(Code::TooMany, first.span.clone(), message, "name a slice above them");
    }
    let check = |text: &str| {
        if let Some(fault) = path_fault(text) {
            Some((Code::BadCgroup, fault))
        } else if text == "/" {
            Some((Code::BadCgroup, "is the whole host: leave the scope away for that"))
        } else if text.starts_with("/sys/fs/cgroup/") {
            Some((Code::BadCgroup, "has its mount point in front: begin behind /sys/fs/cgroup"))
        } else {
            None
        }
    };
    list(items, check, report)
}

fn globs(items: &[At<String>], report: &mut Report) -> Vec<String> {
    if let Some(first) = items.get(PATHS_MAX) {
        report.add(Code::TooMany, first.span.clone(), format!("at most {PATHS_MAX} paths can be declared"));
    }
    let check = |text: &str| {
        if let Some(fault) = path_fault(text) {
            Some((Code::BadPath, fault))
        } else {
            super::pattern::fault(text).map(|fault| (Code::BadGlob, fault))
        }
    };
    list(items, check, report)
}

pub(super) fn list(
    items: &[At<String>],
    check: impl Fn(&str) -> Option<(Code, &'static str)>,
    report: &mut Report,
) -> Vec<String> {
    let mut good = Vec::new();
    let mut seen = BTreeSet::new();
    for item in items {
        if let Some((code, fault)) = check(&item.value) {
            report.add(code, item.span.clone(), format!("`{}` {fault}", item.value));
        } else if !seen.insert(&item.value) {
            report.add(Code::DuplicateItem, item.span.clone(), format!("`{}` is listed twice", item.value));
        } else {
            good.push(item.value.clone());
        }
    }
    good
}
