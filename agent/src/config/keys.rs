//! The one table of keys. The reader accepts what stands here, the reference prints it, the tests hold the shipped file
//! against it.

use std::sync::LazyLock;

/// What may stand behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
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
    /// `true` or `false`
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// A name of small letters, digits and hyphens.
    Name,
    /// A SPIFFE trust domain.
    TrustDomain,
    /// Words for a person.
    Text,
    /// A day, or a moment.
    Date,
    /// A list of texts of a form of their own.
    Items {
        /// What is listed, as the reference says it.
        of: &'static str,
        /// A list of that form.
        example: &'static str,
    },
    /// A list of texts.
    Texts,
    /// Where to listen.
    Listen,
}

impl Type {
    /// Shape of the value, as a person is told.
    pub(super) fn shape(self) -> &'static str {
        match self {
            Type::Cgroups | Type::Globs | Type::Texts | Type::Words(_) | Type::Items { .. } => {
                "a list of texts"
            }
            Type::Date => "a date",
            Type::Count => "a whole number",
            Type::Flag => "`true` or `false`",
            Type::Path
            | Type::PathOrUrl
            | Type::Duration
            | Type::Size
            | Type::Word(_)
            | Type::Name
            | Type::TrustDomain
            | Type::Listen
            | Type::Text => "a text",
        }
    }

    pub(super) fn label(self) -> String {
        match self {
            Type::Cgroups => "list of cgroup paths".to_owned(),
            Type::Globs => "list of paths or globs".to_owned(),
            Type::Path => "absolute path".to_owned(),
            Type::PathOrUrl => "absolute path, `http://` or `https://` URL".to_owned(),
            Type::Duration => "duration: `s`, `m`, `h`, `d`, `w`".to_owned(),
            Type::Size => "size: `B`, `KiB` to `TiB`, `KB` to `TB`".to_owned(),
            Type::Count => "whole number".to_owned(),
            Type::Flag => "`true`, `false`".to_owned(),
            Type::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            Type::Words(words) => {
                let words = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>();
                format!("list of {}", words.join(", "))
            }
            Type::Name => "name: `a-z`, `0-9`, `-`".to_owned(),
            Type::TrustDomain => "name: `a-z`, `0-9`, `.`, `-`, `_`".to_owned(),
            Type::Text => "text".to_owned(),
            Type::Date => "date, or RFC 3339 time".to_owned(),
            Type::Items { of, .. } => format!("list of {of}"),
            Type::Texts => "list of texts".to_owned(),
            Type::Listen => "loopback address and port, or absolute path".to_owned(),
        }
    }
}

/// A key of the config.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    /// As the file would spell it; `None` where there is none.
    pub(crate) default: Option<&'static str>,
    pub(crate) meaning: &'static str,
    pub(crate) since: &'static str,
    /// Names it had in former releases: they are refused, but with this one as answer.
    pub(crate) formerly: &'static [&'static str],
}

/// A table of the config.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// `[[name]]`: may come more than once.
    pub(crate) many: bool,
    pub(crate) about: &'static str,
}

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
const LEVELS_OR_OFF: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];
/// Kinds of findings.
pub(crate) const FINDINGS: &[&str] = &[
    "outside-purpose",
    "new-actor",
    "shared-secret",
    "human-use",
    "untrusted-program",
    "fan-out",
    "expired-credential",
    "secret-in-arguments",
    "retired-version",
    "memory-theft",
];
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
        name: "findings",
        many: false,
        about: "What deviates from what is usual on this host. `docs/FINDINGS.md` has the rule of each kind.",
    },
    Section {
        name: "canary",
        many: false,
        about: "A child of the agent that does every watched act, to prove that the probes fire. The first one decides at start how each signal is seen; later ones notice a probe that falls silent. Their acts leave no records.",
    },
    Section {
        name: "inventory",
        many: false,
        about: "Records of all service accounts and credentials of this host. Changes are told at once.",
    },
    Section {
        name: "purposes",
        many: false,
        about: "What service accounts are for, declared by their owners: PURPOSES.md tells how.",
    },
    Section {
        name: "sink",
        many: true,
        about: "Where records go. May come more than once; without any, records stay in the store.",
    },
    Section {
        name: "telemetry",
        many: false,
        about: "Metrics and health of the agent over HTTP, for Prometheus and for probes: `/metrics`, `/healthz`, `/readyz`. OPERATE.md lists the metrics. Off unless `listen` is set.",
    },
    Section { name: "log", many: false, about: "The agent's own log, on standard error." },
];

/// Every key, in the order of the page.
pub(super) static KEYS: LazyLock<Vec<Key>> =
    LazyLock::new(|| OTHERS.iter().chain(super::sinks::KEYS).cloned().collect());

pub(crate) const fn key(
    section: &'static str,
    name: &'static str,
    kind: Type,
    default: Option<&'static str>,
    meaning: &'static str,
) -> Key {
    Key { section, name, kind, default, meaning, since: "0.1.0", formerly: &[] }
}

/// Every key but those of sinks.
const OTHERS: &[Key] = &[
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
        "A catalogue of your own: kinds that it adds to the built-in ones, and what it changes in them, key by key. The \
         head of `deploy/credentials.toml` is its reference; its mistakes are told with those of the config.",
    ),
    key(
        "credentials",
        "fingerprint_key",
        Type::Path,
        None,
        "File with the key of fingerprints: 64 hexadecimal digits, readable by its owner only. The same key on every \
         host of a fleet lets one secret be recognised on all of them. Without it, each host makes its own, as \
         `fingerprint.key` in the state directory.",
    ),
    key(
        "credentials",
        "environment",
        Type::Flag,
        Some("true"),
        "Look for secrets in the environments that services are started with, by the names of variables. Values are read \
         over and wiped, never kept; people's programs are let be.",
    ),
    key(
        "kubernetes",
        "pods",
        Type::PathOrUrl,
        None,
        "List of this node's pods: the kubelet, as `https://127.0.0.1:10250/pods` or \
         `https://{hostname}:10250/pods` with this host's name, or a file with its answer. Asked when a pod acts that is \
         not known, at most once a second.",
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
    key(
        "kubernetes",
        "trust_domain",
        Type::TrustDomain,
        None,
        "SPIFFE trust domain of this cluster. With it records tell the SPIFFE ID of a pod's service account, as SPIRE and \
         service meshes give it: `spiffe://<trust domain>/ns/<namespace>/sa/<account>`.",
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
        "Most records of actions in one chain; what comes then is counted (`summary.folded`) and not recorded: \
         connections and datagrams beyond this number, executions, exits and where it goes for the first time beyond \
         it and a quarter, credentials and changes of identity beyond it and a half. A chain that is full goes on in \
         another when it is an hour old. From 16 to 1048576.",
    ),
    key(
        "chain",
        "max_open",
        Type::Count,
        Some("4096"),
        "Most chains open at a time; then the quietest of those without a credential is closed, or the quietest of all \
         where each has one, and says so. From 16 to 1048576.",
    ),
    key(
        "findings",
        "learn",
        Type::Duration,
        Some("\"7d\""),
        "How long an account or a credential must be known before what it never did is a finding. From 1 second to 52 \
         weeks. A job that runs once a month is new as long as this is shorter than a month.",
    ),
    key(
        "findings",
        "off",
        Type::Words(FINDINGS),
        Some("[]"),
        "Kinds that are not looked for. A purpose, or one's own catalogue, says more exactly what is meant to be.",
    ),
    key(
        "canary",
        "every",
        Type::Duration,
        Some("\"5m\""),
        "How often one is sent out while the agent runs. From 1 second to 1 week.",
    ),
    key(
        "inventory",
        "first",
        Type::Duration,
        Some("\"3m\""),
        "How long after the start all of it is told: credentials that lie here are found by then. From 1 second to 1 week.",
    ),
    key(
        "inventory",
        "every",
        Type::Duration,
        Some("\"24h\""),
        "How long after that it is told again. From 1 second to 1 week.",
    ),
    key(
        "purposes",
        "path",
        Type::Path,
        Some("\"/etc/spoor/purposes.d\""),
        "A file of purposes, or a directory with files `*.toml` of them. Read at start and at SIGHUP. One that is not there is \
         one without declarations: then actions get no verdict.",
    ),
    key(
        "telemetry",
        "listen",
        Type::Listen,
        None,
        "Where to answer: an address of loopback and a port, as `127.0.0.1:9464` or `[::1]:9464`, or the path of a unix socket. \
         There is no password and no TLS, so other addresses are refused.",
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
