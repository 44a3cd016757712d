//! The one table of keys. The reader accepts what stands here, the reference prints it, the tests hold the shipped file
//! against it.

use std::fmt::Write as _;

/// What may stand behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// A list of cgroup paths.
    Cgroups,
    /// A list of absolute paths or globs.
    Globs,
    /// An absolute path.
    Path,
    /// An absolute path, or where to ask over HTTP.
    PathOrUrl,
    /// `15m`
    Duration,
    /// `2GiB`
    Size,
    /// A whole number.
    Count,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A name of small letters, digits and hyphens.
    Name,
}

impl Type {
    /// Shape of the value, as a person is told.
    pub(super) fn shape(self) -> &'static str {
        match self {
            Type::Cgroups | Type::Globs => "a list of texts",
            Type::Count => "a whole number",
            Type::Path | Type::PathOrUrl | Type::Duration | Type::Size | Type::Word(_) | Type::Name => {
                "a text"
            }
        }
    }

    fn label(self) -> String {
        match self {
            Type::Cgroups => "list of cgroup paths".to_owned(),
            Type::Globs => "list of paths or globs".to_owned(),
            Type::Path => "absolute path".to_owned(),
            Type::PathOrUrl => "absolute path, `http://` or `https://` URL".to_owned(),
            Type::Duration => "duration: `s`, `m`, `h`, `d`, `w`".to_owned(),
            Type::Size => "size: `B`, `KiB` to `TiB`, `KB` to `TB`".to_owned(),
            Type::Count => "whole number".to_owned(),
            Type::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Type::Name => "name: `a-z`, `0-9`, `-`".to_owned(),
        }
    }
}

/// A key of the config.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Type,
    /// As the file would spell it; `None` where there is none.
    pub(super) default: Option<&'static str>,
    pub(super) meaning: &'static str,
    pub(super) since: &'static str,
    /// Names it had in former releases: they are refused, but with this one as answer.
    pub(super) formerly: &'static [&'static str],
}

/// A table of the config.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// `[[name]]`: may come more than once.
    pub(super) many: bool,
    about: &'static str,
}

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
const LEVELS_OR_OFF: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
/// Types of sinks.
pub(super) const SINK_TYPES: &[&str] = &["stdout", "file"];

/// Every section, in the order of the page.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "scope",
        many: false,
        about: "Limits what is watched, in the kernel: events outside leave no trace at all. Without it the whole host is watched.",
    },
    Section { name: "credentials", many: false, about: "Credentials beside the built-in catalogue." },
    Section {
        name: "kubernetes",
        many: false,
        about: "How pods are named. Without it, by the claims of their own tokens and by what the container runtime keeps on the node; the kubelet knows workloads too, and pods without a token.",
    },
    Section {
        name: "store",
        many: false,
        about: "The evidence kept on this host. What is stored is what sinks forward.",
    },
    Section { name: "chain", many: false, about: "How the actions of a run become chains." },
    Section {
        name: "canary",
        many: false,
        about: "A child of the agent that does every watched act, to prove that the probes fire. The first one decides at start how each signal is seen; later ones notice a probe that falls silent. Their acts leave no records.",
    },
    Section {
        name: "sink",
        many: true,
        about: "Where records go. May come more than once; without any, records stay in the store.",
    },
    Section { name: "log", many: false, about: "The agent's own log, on standard error." },
];

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Type,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Key {
    Key { section, name, kind, default, meaning, since: "0.1.0", formerly: &[] }
}

/// Every key, in the order of the page.
pub(super) const KEYS: &[Key] = &[
    key(
        "scope",
        "cgroups",
        Type::Cgroups,
        Some("[]"),
        "Watch these cgroups and everything below them. Absolute, as below `/sys/fs/cgroup`; at most 64.",
    ),
    key(
        "credentials",
        "paths",
        Type::Globs,
        Some("[]"),
        "More credentials: files, or globs such as `/srv/app/secrets/**`. They appear with the kind `declared`. A file \
         need not exist yet.",
    ),
    key(
        "credentials",
        "catalogue",
        Type::Path,
        None,
        "A catalogue of your own, in the format of the built-in one, which it adds to.",
    ),
    key(
        "kubernetes",
        "pods",
        Type::PathOrUrl,
        None,
        "List of this node's pods: the kubelet, as `https://127.0.0.1:10250/pods`, or a file with its answer. Asked \
         when a pod acts that is not known, at most once a second.",
    ),
    key(
        "kubernetes",
        "token",
        Type::Path,
        None,
        "File with the token for that, which needs `get` on `nodes/proxy` or `nodes/pods`. Read anew each time.",
    ),
    key(
        "kubernetes",
        "ca",
        Type::Path,
        None,
        "File with the authorities (PEM) that may sign the kubelet's certificate. Without it, the usual ones of the web.",
    ),
    key("store", "path", Type::Path, Some("\"/var/lib/spoor\""), "The state directory."),
    key(
        "store",
        "keep",
        Type::Duration,
        Some("\"14d\""),
        "How long records are kept. From 1 second to 520 weeks.",
    ),
    key(
        "store",
        "max_bytes",
        Type::Size,
        Some("\"2GiB\""),
        "How much room they may take; then the oldest go, and the loss is told. At least 1 MiB.",
    ),
    key(
        "chain",
        "quiet",
        Type::Duration,
        Some("\"15m\""),
        "A run that was quiet for so long begins a new chain, linked to the last, with its next action. From 1 second \
         to 1 week.",
    ),
    key(
        "chain",
        "max_actions",
        Type::Count,
        Some("4096"),
        "Most actions in one chain; then it is cut, and says so. From 16 to 1048576.",
    ),
    key(
        "chain",
        "max_open",
        Type::Count,
        Some("4096"),
        "Most chains open at a time; then the quietest is closed, and says so. From 16 to 1048576.",
    ),
    key(
        "canary",
        "every",
        Type::Duration,
        Some("\"5m\""),
        "How often one is sent out while the agent runs. From 1 second to 1 week.",
    ),
    key(
        "sink",
        "name",
        Type::Name,
        None,
        "Needed. Unique: what was already sent is remembered under this name.",
    ),
    key("sink", "type", Type::Word(SINK_TYPES), None, "Needed. Where the records go."),
    key("sink", "path", Type::Path, None, "Needed for `file`, which is appended to."),
    key(
        "sink",
        "format",
        Type::Word(&["native"]),
        Some("\"native\""),
        "Schema of the records: `native` is one JSON object a line.",
    ),
    key("log", "level", Type::Word(LEVELS), Some("\"info\""), "Least severity that is logged."),
    key(
        "log",
        "probes",
        Type::Word(LEVELS_OR_OFF),
        Some("\"off\""),
        "The same for messages of the kernel probes.",
    ),
];

/// The reference page, Markdown: what `docs/CONFIG.md` holds.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# The config file\n\n\
         Generated from the table the config is checked with. TOML; every key is optional unless it says otherwise. \
         Unknown keys are mistakes; `spoor check FILE` tells all mistakes of a file at once.\n",
    );
    for section in SECTIONS {
        let title =
            if section.many { format!("[[{}]]", section.name) } else { format!("[{}]", section.name) };
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## `{title}`\n\n{}\n\n", section.about);
        page.push_str("| key | type | default | meaning | since |\n|---|---|---|---|---|\n");
        for key in KEYS.iter().filter(|key| key.section == section.name) {
            let default = key.default.map_or("none".to_owned(), |default| format!("`{default}`"));
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} | {} |",
                key.name,
                key.kind.label(),
                key.meaning,
                key.since
            );
        }
    }
    page
}
