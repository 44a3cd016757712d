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
