//! Notes to records.

use std::sync::Arc;

use serde::Serialize;

use super::bounded::Bounded;
use super::deeds::is_named_later;
use super::kept::{Kept, Part};
use super::parts::{ProgramParts, Told, exit_shape, host_shape, judged, run_attempt};
use super::shape::{
    ActionShape, ChainShape, ConfigShape, CoverageShape, GapShape, HeadShape, HeartbeatShape, Pairs,
    PurposesShape, RefusedShape, SignalShape, SignedShape,
};
use super::{Coverage, Record, RecordType, VERSION, rfc3339};
use crate::action::ActionId;
use crate::actor::Actor;
use crate::chain::{Acted, Closed, Completed, Gap, Note, Opened, RunId};
use crate::credential::Credential;
use crate::lineage::{Cpid, Process, Program};

/// The host that records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Stable id, from the machine id.
    pub id: String,
    /// Host name.
    pub name: String,
    /// Id of this boot.
    pub boot_id: String,
}

/// What makes wall time of the kernel's time: ns since 1970 less ns of `CLOCK_BOOTTIME`. Taken once, so that the distance
/// between two records is the kernel's, whatever is done to the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset(pub i64);

impl ClockOffset {
    fn wall_ns(self, boot_ns: u64) -> i64 {
        i64::try_from(boot_ns).unwrap_or(i64::MAX).saturating_add(self.0)
    }
}

/// What was signed, and the note about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The key that signed.
    pub key: String,
    /// The last record that is signed for.
    pub seq: u64,
    /// Its hash, as digits.
    pub hash: String,
    /// The note.
    pub note: String,
}

/// The only way bytes of the host get into a record. Given from above, so that no record can be built without it.
#[derive(Clone, Copy, Debug)]
pub struct Redaction {
    /// Arguments, without the secrets among them.
    pub argv: fn(&[Vec<u8>]) -> Vec<String>,
    /// Bytes of a path or a name as text that is safe to print.
    pub printable: fn(&[u8]) -> String,
}

/// How many openings, and processes, are remembered to name them in later records.
const REMEMBERED_MAX: usize = 32_768;

/// Turns notes into records, numbering them.
#[derive(Debug)]
pub struct Builder {
    pub(super) host: Host,
    clock: ClockOffset,
    next_seq: u64,
    pub(super) redaction: Redaction,
    /// Records of openings and of pending connections, which later records name.
    pub(super) seqs: Bounded<ActionId, u64>,
    learning_until_ns: Option<i64>,
    /// The latest action, and its record.
    pub(super) latest: Option<(ActionId, u64)>,
    /// Process ids by thread group and tick of its start, to name parents.
    pub(super) cpids: Bounded<(u32, u64), Cpid>,
    pub(super) host_part: Part,
    pub(super) actors: Kept<Actor, (), Part>,
    pub(super) credentials: Kept<Credential, (), Part>,
    pub(super) processes: Kept<Process, Told, Part>,
    pub(super) programs: Kept<Program, (), ProgramParts>,
}

impl Builder {
    /// Numbers from `first_seq`, which the store tells.
    #[must_use]
    pub fn new(host: Host, clock: ClockOffset, first_seq: u64, redaction: Redaction) -> Self {
        Self {
            host_part: Part::of(&host_shape(&host)),
            host,
            clock,
            next_seq: first_seq,
            redaction,
            seqs: Bounded::new(REMEMBERED_MAX),
            learning_until_ns: None,
            latest: None,
            cpids: Bounded::new(REMEMBERED_MAX),
            actors: Kept::new(),
            credentials: Kept::new(),
            processes: Kept::new(),
            programs: Kept::new(),
        }
    }

    /// Number of the record that is built next.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The record of a note.
    pub fn note(&mut self, note: &Note) -> Record {
        match note {
            Note::Opened(opened) => self.opened(opened),
            Note::Acted(acted) => self.acted(acted),
            Note::Completed(completed) => self.completed(completed),
            Note::Closed(closed) => self.closed(closed),
            Note::Gap(gap) => self.gap(gap),
        }
    }

    /// What the probes can see. The first record of every start. `time_ns` is of `CLOCK_BOOTTIME`.
    pub fn coverage(&mut self, time_ns: u64, coverage: &Coverage) -> Record {
        let (seq, time_ns) = self.head(time_ns);
        let body = bytes(&CoverageShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Coverage.name(),
            host: self.host_part.clone(),
            agent_version: &coverage.agent_version,
            kernel: &coverage.kernel,
            scope: &coverage.scope,
            purposes: coverage.purposes.as_ref().map(|purposes| PurposesShape {
                count: purposes.count,
                set: purposes.set.as_deref(),
                refused: &purposes.refused,
            }),
            config: coverage.config.as_ref().map(|config| ConfigShape {
                changed: &config.changed,
                waiting: &config.waiting,
                refused: &config.refused,
            }),
            own: coverage.own.as_ref().map(|own| self.declared(own)),
            signals: coverage
                .signals
                .iter()
                .map(|signal| SignalShape {
                    signal: &signal.signal,
                    tier: signal.tier.as_deref(),
                    attach: &signal.attach,
                    proven: signal.proven,
                    blind: &signal.blind,
                    refused: signal.refused.iter().map(|(tier, why)| RefusedShape { tier, why }).collect(),
                })
                .collect(),
        });
        record(seq, time_ns, RecordType::Coverage, None, body)
    }

    /// The agent is there: its counters so far.
    pub fn heartbeat(&mut self, time_ns: u64, counters: &[(String, u64)]) -> Record {
        self.beat(time_ns, "running", counters)
    }

    /// Until when findings judge nothing by habit, ns since 1970. Heartbeats carry it.
    pub fn learning(&mut self, until_ns: Option<i64>) {
        self.learning_until_ns = until_ns;
    }

    /// The agent stops, as it was told to. Where the last record of a boot is another one, it did not get to say so.
    pub fn stopped(&mut self, time_ns: u64, counters: &[(String, u64)]) -> Record {
        self.beat(time_ns, "stopped", counters)
    }

    fn beat(&mut self, time_ns: u64, state: &'static str, counters: &[(String, u64)]) -> Record {
        let (seq, time_ns) = self.head(time_ns);
        let body = bytes(&HeartbeatShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Heartbeat.name(),
            state,
            host: self.host_part.clone(),
            learning_until: self.learning_until_ns.map(rfc3339),
            counters: Pairs(counters.iter().map(|(name, count)| (name.as_str(), *count)).collect()),
        });
        record(seq, time_ns, RecordType::Heartbeat, None, body)
    }

    fn opened(&mut self, opened: &Opened) -> Record {
        let at = self.head(opened.time_ns);
        for process in opened.lineage.iter().rev().chain([&opened.root]) {
            self.remember(process);
        }
        let chain = opened.chain.to_string();
        let body = bytes(&ChainShape {
            run_since: Some(self.time(opened.run_since_ns)),
            after: opened.after.map(|after| after.to_string()),
            attempt: opened.attempt.as_ref().map(run_attempt),
            lineage: Some(opened.lineage.iter().map(|process| self.process(process, None)).collect()),
            gaps: Some(opened.gaps.iter().map(|gap| gap.name()).collect()),
            ..self.chain(at, "opened", (&chain, opened.run), &opened.actor, &opened.root)
        });
        record(at.0, at.1, RecordType::Chain, Some(chain), body)
    }

    fn completed(&mut self, completed: &Completed) -> Record {
        let at = self.head(completed.time_ns);
        let chain = completed.chain.to_string();
        let shape = self.chain(at, "completed", (&chain, completed.run), &completed.actor, &completed.root);
        let body = bytes(&shape);
        record(at.0, at.1, RecordType::Chain, Some(chain), body)
    }

    fn closed(&mut self, closed: &Closed) -> Record {
        let at = self.head(closed.time_ns);
        let chain = closed.chain.to_string();
        let body = bytes(&ChainShape {
            since: Some(self.time(closed.since_ns)),
            reason: Some(closed.reason.name()),
            exit: closed.root_exit.map(exit_shape),
            attempt: closed.attempt.as_ref().map(run_attempt),
            summary: Some(self.summary(&closed.summary)),
            ..self.chain(at, "closed", (&chain, closed.run), &closed.actor, &closed.root)
        });
        record(at.0, at.1, RecordType::Chain, Some(chain), body)
    }

    /// What every record of a chain has.
    fn chain<'a>(
        &'a self,
        (seq, time_ns): (u64, i64),
        status: &'static str,
        (chain, run): (&'a str, RunId),
        actor: &Arc<Actor>,
        root: &Arc<Process>,
    ) -> ChainShape<'a> {
        ChainShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Chain.name(),
            status,
            host: self.host_part.clone(),
            chain,
            run: run.to_string(),
            run_since: None,
            since: None,
            after: None,
            attempt: None,
            actor: self.actor(actor),
            root: self.process(root, None),
            lineage: None,
            gaps: None,
            reason: None,
            exit: None,
            summary: None,
        }
    }

    fn acted(&mut self, acted: &Acted) -> Record {
        let action = &acted.action;
        let (seq, time_ns) = self.head(action.time_ns);
        self.remember(&action.process);
        let chain = acted.chain.to_string();
        let mut shape = ActionShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Action.name(),
            action: "",
            outcome: None,
            errno: None,
            took_ms: None,
            completes: None,
            host: self.host_part.clone(),
            chain: &chain,
            run: acted.run.to_string(),
            count: acted.together.as_ref().map(|_| acted.count()),
            since: acted.together.as_ref().map(|together| self.time(together.since_ns)),
            actor: self.actor(&action.actor),
            process: self.process(&action.process, Some(&action.facts)),
            how: None,
            target: None,
            program: None,
            from: None,
            to: None,
            file: None,
            key: None,
            environment: Vec::new(),
            exit: None,
            credential: self.credential_parts(&acted.credentials),
            destination: None,
            source: None,
            link: acted.link.as_ref().map(|link| self.link(link)),
            attempt: acted.attempt.as_ref().map(|attempt| self.attempt(attempt)),
            purpose: acted.judged.as_ref().map(judged),
            request: acted.request.and_then(|accepted| self.seqs.get(&accepted).copied()),
            seen_by: action.seen_by.name(),
        };
        self.deed(action, &mut shape);
        if let (Some(source), Some(together)) = (&mut shape.source, &acted.together) {
            source.ports = &together.ports;
        }
        let body = bytes(&shape);
        self.latest = Some((action.id, seq));
        if is_named_later(&action.deed) {
            let several = acted.together.iter().flat_map(|together| &together.ids);
            several.chain([&action.id]).for_each(|id| self.seqs.insert(*id, seq));
        }
        record(seq, time_ns, RecordType::Action, Some(chain), body)
    }

    /// What a signed note says of whose it is and when that is, ns since 1970.
    #[must_use]
    pub fn signs(&self, time_ns: u64) -> (&str, i64) {
        (&self.host.id, self.clock.wall_ns(time_ns))
    }

    /// Where the chain of records stands, signed at that time.
    pub fn signed(&mut self, time_ns: u64, signed: &Signed) -> Record {
        let Signed { key, seq, hash, note } = signed;
        let (number, time_ns) = self.head(time_ns);
        let body = bytes(&HeadShape {
            v: VERSION,
            seq: number,
            time: rfc3339(time_ns),
            r#type: RecordType::Head.name(),
            host: self.host_part.clone(),
            head: SignedShape { seq: *seq, hash, key, note },
        });
        record(number, time_ns, RecordType::Head, None, body)
    }

    fn gap(&mut self, gap: &Gap) -> Record {
        let chains: Vec<String> = gap.chains.iter().map(ToString::to_string).collect();
        let counts = gap.counts.iter().map(|(kind, count)| (kind.name(), *count)).collect();
        let cpus: Vec<(String, u64)> =
            gap.cpus.iter().map(|(cpu, count)| (cpu.to_string(), *count)).collect();
        let (seq, time_ns) = self.head(gap.time_ns);
        let body = bytes(&GapShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Gap.name(),
            kind: gap.kind.name(),
            since: self.time(gap.since_ns),
            host: self.host_part.clone(),
            counts: Pairs(counts),
            cpus: Pairs(cpus.iter().map(|(cpu, count)| (cpu.as_str(), *count)).collect()),
            chains: &chains,
        });
        let mut record = record(seq, time_ns, RecordType::Gap, None, body);
        record.gap_chains = chains;
        record
    }

    pub(super) fn head(&mut self, boot_ns: u64) -> (u64, i64) {
        let seq = self.next_seq;
        self.next_seq += 1;
        (seq, self.clock.wall_ns(boot_ns))
    }

    fn time(&self, boot_ns: u64) -> String {
        rfc3339(self.clock.wall_ns(boot_ns))
    }
}

pub(super) fn record(
    seq: u64,
    time_ns: i64,
    kind: RecordType,
    chain: Option<String>,
    body: Vec<u8>,
) -> Record {
    Record { seq, time_ns, kind, chain, gap_chains: Vec::new(), body }
}

/// One object of strings, numbers and lists: `serde_json` refuses only keys that are no strings, and there are none.
pub(super) fn bytes(shape: &impl Serialize) -> Vec<u8> {
    let body = serde_json::to_vec(shape);
    debug_assert!(body.is_ok(), "{body:?}");
    body.unwrap_or_default()
}
