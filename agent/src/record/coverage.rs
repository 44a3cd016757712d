//! What the probes can see on this host: the plain form that whoever loads them fills in.

/// What the agent sees here, and what it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Version of the agent.
    pub agent_version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// One for each signal, also for those that nothing sees.
    pub signals: Vec<SignalCoverage>,
    /// What is watched, in the words of the config; empty: the whole host.
    pub scope: Vec<String>,
    /// What became of the config when it was read again; `None` where it was not.
    pub config: Option<ConfigInForce>,
    /// The purposes in force; `None` where nobody has declared any.
    pub purposes: Option<PurposesInForce>,
    /// What the agent does itself on this host. At a start only.
    pub own: Option<Box<Own>>,
}

/// The agent's own process, and what it reads, writes and reaches: none of that is in records of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Number of its process.
    pub pid: u32,
    /// When that started, ns of `CLOCK_BOOTTIME`, to the tick; `None` where it cannot be told.
    pub start_ns: Option<u64>,
    /// Its program.
    pub exe: Vec<u8>,
    /// The state directory.
    pub store: Vec<u8>,
    /// The socket on which it tells how it is.
    pub status: Vec<u8>,
    /// Where it answers over HTTP, if it does.
    pub listen: Option<String>,
    /// Where it asks for pods, if it does: a file, or a server.
    pub pods: Option<String>,
    /// Where records go.
    pub sinks: Vec<OwnSink>,
}

/// One way out for records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnSink {
    /// Its name.
    pub name: String,
    /// Its type, as the config spells it.
    pub kind: String,
    /// Files, sockets, or servers with their ports; nothing of what else stands in a URL.
    pub to: Vec<String>,
}

/// Which purposes actions are judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurposesInForce {
    /// How many.
    pub count: usize,
    /// The id of the set; `None` where there is none.
    pub set: Option<String>,
    /// Mistakes for which a newer set was refused; then the one before is in force.
    pub refused: Vec<String>,
}

/// What became of the config when it was read again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigInForce {
    /// Keys that changed and hold, the last time that it was good.
    pub changed: Vec<String>,
    /// Keys that differ from what is in force, and hold after a restart only.
    pub waiting: Vec<String>,
    /// Mistakes for which a newer one was refused; then nothing of it holds.
    pub refused: Vec<String>,
}

/// How one signal is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalCoverage {
    /// `fork`, `exec`, `exit`, `secret.open`, `connect` or `connect.outcome`.
    pub signal: String,
    /// `lsm`, `fentry`, `kprobe` or `tracepoint`; `None` where nothing sees it.
    pub tier: Option<String>,
    /// The attach points in use.
    pub attach: Vec<String>,
    /// The canary's act was seen.
    pub proven: bool,
    /// What this tier cannot see.
    pub blind: Vec<String>,
    /// Tiers that were tried before and refused: tier and why.
    pub refused: Vec<(String, String)>,
}
