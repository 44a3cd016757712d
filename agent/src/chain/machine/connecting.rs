//! Connections: asked for, answered, or not answered in time.

use std::net::IpAddr;
use std::sync::Arc;

use super::naming::towards;
use super::telling::Recorded;
use super::{Machine, Observed, Subject};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::chain::connections::{Answered, Asked, Nameless};
use crate::chain::{Acted, CloseReason, GapKind, Note};
use crate::event::{ConnectFailure, Endpoint, SampleId, Seen, Source};

impl Machine {
    /// A connection was asked for. What is linked with it is decided now, not when its outcome is known.
    pub(super) fn asked(
        &mut self,
        number: u64,
        by: &Subject,
        (seen, input): (&Seen, &Observed<'_>),
        to: Endpoint,
        out: &mut Vec<Note>,
    ) {
        let time_ns = input.event.time_ns;
        let Some(here) = self.here(number, by, time_ns) else {
            return;
        };
        let mut linked = self.link(&by.process, here, towards(to, input.name).as_ref());
        linked.request = here.unit.and_then(|unit| unit.action);
        self.count_process(number, by);
        self.touch(number, time_ns);
        let deed = ActionDeed::Connect {
            to,
            name: input.name.cloned(),
            from: None,
            outcome: ConnectOutcome::Pending,
            took_ns: None,
            completes: None,
        };
        let action = self.action(by, time_ns, deed, seen.source);
        if let Some(towards) = towards(to, input.name)
            && let Some(member) = self.members.get_mut(&by.process.key.into())
        {
            member.more_mut().reaching.get_or_insert_default().asked(action.id, (to, towards), time_ns);
        }
        linked.judged = self.judge(&action, (input.credentials, &linked), input.heard, by.digest);
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        run.connections += 1;
        linked.attempt = run.unanswered.asked(to, input.name.map(|named| named.name.as_str()), time_ns);
        let (Some(begun), Some(chain)) = (&run.begun, &mut run.chain) else {
            return;
        };
        chain.attempt(to, input.name);
        chain.fan_out(to, linked.link.as_ref());
        chain.summary.retries += u64::from(linked.attempt.is_some());
        chain.pending += 1;
        let endpoint = input.credentials.first().cloned();
        let (run_id, chain_id, heard) = (begun.id, chain.id, input.heard.to_vec());
        let asked = Box::new(Asked {
            action,
            linked,
            here,
            run: number,
            run_id,
            chain: chain_id,
            endpoint,
            heard,
            digest: by.digest,
        });
        if self.connections.len() < self.limits.max_pending {
            self.connections.ask(seen.id, asked);
        } else {
            self.counts.evicted += 1;
            chain.gap(GapKind::StateFull);
            self.report(seen.id, asked, out);
        }
    }

    pub(super) fn answered(
        &mut self,
        of: SampleId,
        outcome: Result<(), ConnectFailure>,
        from: Option<(IpAddr, u16)>,
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let Some(answered) = self.connections.answer(of) else {
            return;
        };
        let (mut asked, late) = match answered {
            Answered::InTime(asked) => (asked, false),
            Answered::Late(asked) => (asked, true),
        };
        let asked_id = asked.action.id;
        self.tried(&asked, outcome, time_ns);
        if let ActionDeed::Connect { to, from: own, outcome: known, took_ns, completes, .. } =
            &mut asked.action.deed
        {
            *own = from;
            *known = match outcome {
                Ok(()) if !to.answers() => ConnectOutcome::Associated,
                Ok(()) => ConnectOutcome::Established,
                Err(ConnectFailure::Errno(errno)) => ConnectOutcome::from_errno(errno),
                Err(ConnectFailure::Abandoned) => ConnectOutcome::Abandoned,
            };
            *took_ns = Some(time_ns.saturating_sub(asked.action.time_ns));
            *completes = late.then_some(asked_id);
        }
        asked.action.seen_by = seen_by;
        if late {
            self.answered_late(*asked, out);
            return;
        }
        let run = asked.run;
        self.touch(run, time_ns);
        if let Some(chain) = self.chain_mut(run) {
            chain.pending = chain.pending.saturating_sub(1);
        }
        self.handed_out(&mut asked, time_ns);
        let nameable =
            matches!(&asked.action.deed, ActionDeed::Connect { outcome: ConnectOutcome::Established, .. });
        let Asked { action, linked, here, endpoint, heard, digest, .. } = *asked;
        if let Some(Recorded { told, waits: waited }) =
            self.record(run, action, linked, out).filter(|_| nameable)
        {
            let nameless = Nameless { told, waited, here, endpoint, heard, digest };
            self.connections.established(of, nameless, self.limits.max_pending);
        }
        self.settled(run, time_ns, out);
    }

    /// A connection to an endpoint that hands out credentials, e.g. a cloud's metadata service, is a way to come by one.
    fn handed_out(&mut self, asked: &mut Asked, time_ns: u64) {
        let there = matches!(
            asked.action.deed,
            ActionDeed::Connect { outcome: ConnectOutcome::Established | ConnectOutcome::Associated, .. }
        );
        let Some(credential) = asked.endpoint.clone().filter(|_| there) else {
            return;
        };
        asked.linked.credentials.retain(|other| other.id != credential.id);
        asked.linked.credentials.insert(0, Arc::clone(&credential));
        asked.linked.handed_out = true;
        let by = (&*asked.action.process, asked.action.facts.tid);
        self.came_by(asked.run, by, Some(asked.action.id), (&credential, false), time_ns);
    }

    /// Remembers what failed, for what is tried again. Who closes a socket before the answer did not fail.
    fn tried(&mut self, asked: &Asked, outcome: Result<(), ConnectFailure>, time_ns: u64) {
        let ActionDeed::Connect { to, name, .. } = &asked.action.deed else {
            return;
        };
        let Some(run) = self.runs.get_mut(&asked.run) else {
            return;
        };
        let name = name.as_ref().map(|named| named.name.as_str());
        if outcome.is_err()
            && let Some(member) = self.members.get_mut(&asked.action.process.key.into())
            && let Some(reaching) = member.any().and_then(|more| more.reaching.as_mut())
        {
            reaching.failed(asked.action.id);
        }
        match outcome {
            Ok(()) => run.unanswered.answered(*to, name),
            Err(ConnectFailure::Errno(_)) => run.unanswered.failed(*to, name, asked.action.id, time_ns),
            Err(ConnectFailure::Abandoned) => {}
        }
    }

    /// What was reported as pending has an outcome, though its chain may be closed.
    pub(super) fn answered_late(&mut self, mut asked: Asked, out: &mut Vec<Note>) {
        asked.action.id = self.next_action();
        if let Some(chain) = self.chain_mut(asked.run).filter(|chain| chain.id == asked.chain) {
            chain.sum(&asked.action);
            chain.summary.actions += 1;
            chain.records += 1;
        }
        self.counts.chained += 1;
        out.push(Note::Acted(Arc::new(Acted {
            chain: asked.chain,
            run: asked.run_id,
            action: asked.action,
            credentials: asked.linked.credentials,
            link: asked.linked.link,
            attempt: asked.linked.attempt,
            judged: asked.linked.judged,
            request: asked.linked.request,
            together: None,
        })));
    }

    pub(super) fn unanswered(
        &mut self,
        sample: SampleId,
        asked: Box<Asked>,
        time_ns: u64,
        out: &mut Vec<Note>,
    ) {
        let run = asked.run;
        self.report(sample, asked, out);
        self.settled(run, time_ns, out);
    }

    /// Reports a connection without its outcome, and remembers it for the case that there is one yet.
    pub(super) fn report(&mut self, sample: SampleId, asked: Box<Asked>, out: &mut Vec<Note>) {
        if let Some(chain) = self.chain_mut(asked.run) {
            chain.pending = chain.pending.saturating_sub(1);
        }
        if self.record(asked.run, asked.action.clone(), asked.linked.clone(), out).is_some() {
            self.connections.remember(sample, asked, self.limits.max_pending);
        }
    }

    /// One connection less to wait for: closes the chain of a run that has ended.
    pub(super) fn settled(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
        let ended = self.runs.get(&number).filter(|run| run.ended_ns.is_some());
        if ended.and_then(|run| run.chain.as_ref()).is_some_and(|chain| chain.pending == 0) {
            self.close(number, CloseReason::RunEnded, time_ns, out);
        }
    }
}
