//! Kinds of gaps.

/// What may be missing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapKind {
    /// A full ring refused samples.
    Lost,
    /// A full ring refused samples that would have told the same again: nothing is missing but how often, which the gap counts.
    Repeated,
    /// A process is older than the agent: what it did before is not known.
    OlderThanAgent,
    /// A process acted whose making was not seen.
    UnknownParent,
    /// Arguments or a path were cut.
    Truncated,
    /// Bounded state was full.
    StateFull,
    /// The agent stopped while the chain was open.
    AgentStopped,
    /// Records of the store were given up, for their age or their size.
    Dropped,
    /// Records of the store were lost, since a file was damaged.
    Damaged,
    /// A probe that was proven at start does not fire any more.
    ProbeSilent,
    /// The kernel passed probes by, since they were interrupted at work on that CPU.
    Missed,
    /// No tier shows that processes are made.
    ForkNotCovered,
    /// … that they take programs.
    ExecNotCovered,
    /// … that they end.
    ExitNotCovered,
    /// … that they open credentials.
    OpenNotCovered,
    /// … that they ask for connections.
    ConnectNotCovered,
    /// … what becomes of these.
    OutcomeNotCovered,
}

impl GapKind {
    /// Every kind.
    pub const ALL: [GapKind; 17] = [
        GapKind::Lost,
        GapKind::Repeated,
        GapKind::OlderThanAgent,
        GapKind::UnknownParent,
        GapKind::Truncated,
        GapKind::StateFull,
        GapKind::AgentStopped,
        GapKind::Dropped,
        GapKind::Damaged,
        GapKind::ProbeSilent,
        GapKind::Missed,
        GapKind::ForkNotCovered,
        GapKind::ExecNotCovered,
        GapKind::ExitNotCovered,
        GapKind::OpenNotCovered,
        GapKind::ConnectNotCovered,
        GapKind::OutcomeNotCovered,
    ];

    /// The gap of every chain while nothing shows a signal. `None` of those that most chains do without: they stand in the
    /// coverage record alone, or the gap would be in each chain of a host and be read by nobody.
    #[must_use]
    pub fn not_covered(signal: &str) -> Option<Self> {
        Some(match signal {
            "fork" => GapKind::ForkNotCovered,
            "exec" => GapKind::ExecNotCovered,
            "exit" => GapKind::ExitNotCovered,
            "secret.open" => GapKind::OpenNotCovered,
            "connect" => GapKind::ConnectNotCovered,
            "connect.outcome" => GapKind::OutcomeNotCovered,
            _ => return None,
        })
    }

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GapKind::Lost => "lost",
            GapKind::Repeated => "repeated",
            GapKind::OlderThanAgent => "older-than-agent",
            GapKind::UnknownParent => "unknown-parent",
            GapKind::Truncated => "truncated",
            GapKind::StateFull => "state-full",
            GapKind::AgentStopped => "agent-stopped",
            GapKind::Dropped => "dropped",
            GapKind::Damaged => "damaged",
            GapKind::ProbeSilent => "probe-silent",
            GapKind::Missed => "missed",
            GapKind::ForkNotCovered => "fork-not-covered",
            GapKind::ExecNotCovered => "exec-not-covered",
            GapKind::ExitNotCovered => "exit-not-covered",
            GapKind::OpenNotCovered => "open-not-covered",
            GapKind::ConnectNotCovered => "connect-not-covered",
            GapKind::OutcomeNotCovered => "outcome-not-covered",
        }
    }
}
