//! Entries of the inventory to records, and back: a later life of the agent goes on from what this one told.

mod recall;
mod shape;

use std::sync::Arc;

use super::build::{Builder, bytes, record};
use super::parts::{actor_shape, at_second, mode};
use super::shape::ActorShape;
use super::shape::Pairs;
use super::{Record, RecordType, VERSION, rfc3339};
use crate::inventory::{Account, Few, Holding, Place, Reach, Span, Told, Totals, What};
pub(super) use recall::actor as recalled_actor;
pub use recall::recall;
use shape::{FileShape, HostReachedShape, InventoryShape, SpanShape};

impl Builder {
    /// The record of an entry.
    pub fn inventory(&mut self, told: &Told) -> Record {
        let (seq, time_ns) = self.head(told.time_ns);
        let mut shape = InventoryShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Inventory.name(),
            of: "",
            why: told.why.iter().map(|why| why.name()).collect(),
            host: self.host_part.clone(),
            watched_since: rfc3339(told.since_ns),
            ..InventoryShape::default()
        };
        match &told.what {
            What::Actor(account) => self.account(account, &mut shape),
            What::Credential(holding) => self.holding(holding, &mut shape),
            What::Host(totals) => host(*totals, &mut shape),
        }
        let body = bytes(&shape);
        record(seq, time_ns, RecordType::Inventory, None, body)
    }

    fn account<'a>(&self, account: &'a Account, shape: &mut InventoryShape<'a>) {
        shape.of = "actor";
        // Whose login it was the first time says nothing of the account: people are told by themselves.
        shape.actor = Some(ActorShape { human: None, human_unknown: None, ..actor_shape(&account.actor) });
        shape.first = Some(rfc3339(account.span.first_ns));
        shape.last = Some(rfc3339(account.span.last_ns));
        shape.runs = Some(account.runs.count());
        shape.last_program = self.program(&account.program);
        shape.programs = self.programs(&account.programs);
        shape.credentials = spans(&account.credentials);
        shape.people = spans(&account.people);
        shape.destinations = hosts(&account.destinations);
        shape.left_out = Pairs(left_out(&[
            ("programs", account.programs.refused()),
            ("credentials", account.credentials.refused()),
            ("people", account.people.refused()),
            ("destinations", account.destinations.refused()),
        ]));
    }

    fn holding<'a>(&self, holding: &'a Holding, shape: &mut InventoryShape<'a>) {
        shape.of = "credential";
        shape.credential = vec![self.credential(&holding.credential)];
        shape.known = Some(rfc3339(holding.known_ns));
        shape.first = holding.used.map(|used| rfc3339(used.first_ns));
        shape.last = holding.used.map(|used| rfc3339(used.last_ns));
        shape.runs = Some(holding.runs.count());
        shape.versions = Some(holding.versions.count());
        shape.last_program = self.program(&holding.program);
        shape.programs = self.programs(&holding.programs);
        shape.files = holding.files.iter().map(|(path, place)| self.place(path, *place)).collect();
        shape.actors = spans(&holding.actors);
        shape.people = spans(&holding.people);
        shape.destinations = hosts(&holding.destinations);
        shape.left_out = Pairs(left_out(&[
            ("programs", holding.programs.refused()),
            ("files", holding.files.refused()),
            ("actors", holding.actors.refused()),
            ("people", holding.people.refused()),
            ("destinations", holding.destinations.refused()),
        ]));
    }

    fn program(&self, program: &[u8]) -> Option<String> {
        (!program.is_empty()).then(|| (self.redaction.printable)(program))
    }

    fn programs(&self, programs: &Few<Vec<u8>, i64>) -> Vec<String> {
        programs.iter().map(|(program, _)| (self.redaction.printable)(program)).collect()
    }

    fn place(&self, path: &[u8], place: Place) -> FileShape {
        FileShape {
            path: (self.redaction.printable)(path),
            owner: place.owner,
            mode: mode(place.mode),
            written: place.written.map(at_second),
        }
    }
}

fn host(totals: Totals, shape: &mut InventoryShape<'_>) {
    shape.of = "host";
    shape.total = Pairs(vec![
        ("actors", totals.actors),
        ("credentials", totals.credentials),
        ("unused", totals.unused),
    ]);
    shape.left_out = Pairs(left_out(&[
        ("actors_forgotten", totals.actors_forgotten),
        ("credentials_forgotten", totals.credentials_forgotten),
        ("files_refused", totals.files_refused),
        ("files_unlisted", totals.unlisted.files),
        ("directories_unlisted", totals.unlisted.directories),
    ]));
}

fn left_out<'a>(counts: &[(&'a str, u64)]) -> Vec<(&'a str, u64)> {
    counts.iter().copied().filter(|(_, count)| *count != 0).collect()
}

fn spans(known: &Few<Arc<str>, Span>) -> Vec<SpanShape<'_>> {
    known
        .iter()
        .map(|(id, span)| SpanShape { id, first: rfc3339(span.first_ns), last: rfc3339(span.last_ns) })
        .collect()
}

fn hosts(known: &Few<String, Reach>) -> Vec<HostReachedShape<'_>> {
    known
        .iter()
        .map(|(to, reach)| HostReachedShape {
            to,
            port: reach.port,
            reached: reach.reached,
            first: rfc3339(reach.span.first_ns),
            last: rfc3339(reach.span.last_ns),
        })
        .collect()
}
