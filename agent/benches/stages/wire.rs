//! Samples as the probes of a deed send them: a credential opened, a connection with its outcome, and a process that is made,
//! takes a program and ends.

#[path = "../../../agent-common/tests/sample/mod.rs"]
#[expect(dead_code, reason = "the tests' half of the wire has any sample of every kind, and here are six")]
mod sample;

use sample::{Fixed, Sample};
use spoor::event::{Event, convert};
use spoor_wire::body::MATCH_NAME;
use spoor_wire::{Connect, ConnectEnd, Exec, Exit, Fork, Header, Kind, Open, RawEvent, Source, Task};

/// The bytes of each.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let comm = *b"worker\0\0\0\0\0\0\0\0\0\0";
    let task = Task { start_ns: 5, tgid: 1_000, tid: 1_000, uid: 990, euid: 990, comm, ..Task::default() };
    let header = Header { time_ns: 7, seq: 1, source: Source::TpExec as u8, task, ..Header::default() };
    let open = Open { ino: 2, dev: 1, rule: 4, matched: MATCH_NAME, mode: 0o100_600, ..Open::default() };
    let exec: [&[u8]; 4] = [
        b"/usr/bin/worker",
        b"/usr/bin/worker",
        b"worker\0--queue\0orders\0",
        b"/system.slice/worker-7.service",
    ];
    let deed: [(Fixed, &[&[u8]]); 6] = [
        (Fixed::Open(Kind::Open, open), &[b"token\0worker\0etc\0"]),
        (Fixed::Connect(Connect { family: 2, dport: 443, ..Connect::default() }), &[]),
        (Fixed::ConnectEnd(ConnectEnd::default()), &[]),
        (Fixed::Fork(Fork { child_tgid: 1_001, child_start_ns: 6, ..Fork::default() }), &[]),
        (Fixed::Exec(Exec { ino: 1, dev: 1, links: 1, ..Exec::default() }), &exec),
        (Fixed::Exit(Exit::default()), &[]),
    ];
    let bytes = |(fixed, texts): (Fixed, &[&[u8]])| {
        Sample::new(header, fixed, texts.iter().map(|text| text.to_vec()).collect()).encode()
    };
    deed.map(bytes).into()
}

/// What the reader makes of a sample.
pub(super) fn decoded(sample: &[u8]) -> Option<Event> {
    convert(&RawEvent::decode(sample).ok()?).ok()
}
