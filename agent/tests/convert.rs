//! From the wire to an event: what each part of a sample becomes, and that no sample makes it panic.

#[path = "../../agent-common/tests/sample/mod.rs"]
mod sample;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use sample::{Fixed, Sample, sample};
use spoor::event::{
    ConnectFailure, ConvertError, Deed, Endpoint, Event, ExitStatus, KeyWay, Matched, SampleId, Seen,
    SendOutcome, Text, Transport, What, convert,
};
use spoor_wire::body::{
    ERRNO_NONE, FLAG_RENAMED, HOW_BACKING, KEY_ADD, KEY_FIND, KEY_READ, KEY_UPDATE, MATCH_DIR, MATCH_ENTRY,
    MATCH_INODE, MATCH_NAME, READ_CALL, READ_MAP, SPAN_TRUNCATED, SPAN_UNREADABLE,
};
use spoor_wire::header::{TASK_KTHREAD, TASK_PARTIAL};
use spoor_wire::{
    Connect, ConnectEnd, Exec, Exit, Fork, Header, Kind, Open, RawBody, RawEvent, Source, Span, Task,
};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const AF_VSOCK: u16 = 40;

fn with_header(header: Header, fixed: Fixed, texts: &[&[u8]]) -> Result<Seen, ConvertError> {
    let header = Header { source: Source::TpExec as u8, ..header };
    let sample = Sample::new(header, fixed, texts.iter().map(|text| text.to_vec()).collect());
    let event = convert(&sample.raw())?;
    match event.what {
        What::Seen(seen) => Ok(*seen),
        other @ (What::Seeded(_)
        | What::Lost(_)
        | What::Refused { .. }
        | What::Repeated { .. }
        | What::Missed(_)
        | What::Silent { .. }
        | What::Present(_)
        | What::Answer(_)
        | What::Tick) => {
            unreachable!("a sample became {other:?}")
        }
    }
}

fn deed(fixed: Fixed, texts: &[&[u8]]) -> Result<Deed, ConvertError> {
    with_header(Header::default(), fixed, texts).map(|seen| seen.deed)
}

fn flagged(flags: u16) -> Span {
    Span { flags, ..Span::default() }
}

fn opened(names: &[u8], flags: u16) -> Text {
    let open = Open { matched: MATCH_NAME, path: flagged(flags), ..Open::default() };
    match deed(Fixed::Open(Kind::Open, open), &[names]) {
        Ok(Deed::Open(file)) => file.path,
        other => unreachable!("an opened file became {other:?}"),
    }
}

fn whole(bytes: &[u8]) -> Text {
    Text { bytes: bytes.to_vec(), truncated: false }
}

fn cut(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: true }
}

fn arguments(argv: &[u8], flags: u16) -> (Vec<Vec<u8>>, bool) {
    let exec = Exec { argv: flagged(flags), ..Exec::default() };
    match deed(Fixed::Exec(exec), &[b"", b"", argv, b""]) {
        Ok(Deed::Exec { argv, argv_truncated, .. }) => (argv, argv_truncated),
        other => unreachable!("an exec became {other:?}"),
    }
}

fn exit(status: u32) -> Result<Deed, ConvertError> {
    deed(Fixed::Exit(Exit { status, pad: 0 }), &[])
}

fn connected_from(saddr: [u8; 16], family: u16) -> Result<Deed, ConvertError> {
    deed(Fixed::ConnectEnd(ConnectEnd { conn_id: 7, errno: 0, sport: 4711, family, saddr }), &[])
}

/// An address as the wire has it: IPv4 in the first four bytes.
fn four(address: Ipv4Addr) -> [u8; 16] {
    let [a, b, c, d] = address.octets();
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// Whether the numbers that a sample chooses from are known ones.
fn makes_sense(body: &RawBody<'_>) -> bool {
    match body {
        RawBody::Open { fixed, .. } => {
            [MATCH_INODE, MATCH_ENTRY, MATCH_DIR, MATCH_NAME].contains(&fixed.matched)
        }
        RawBody::Connect(connect) => [AF_INET, AF_INET6, AF_VSOCK].contains(&connect.family),
        RawBody::Send(send) => [AF_INET, AF_INET6, AF_VSOCK].contains(&send.family),
        RawBody::Accept(accept) => [AF_INET, AF_INET6].contains(&accept.family),
        RawBody::Memory(memory) => (1..=4).contains(&memory.how),
        RawBody::Key { fixed, .. } => (1..=4).contains(&fixed.how),
        RawBody::Fork(_)
        | RawBody::Exec { .. }
        | RawBody::Exit(_)
        | RawBody::ConnectEnd(_)
        | RawBody::AcceptEnd(_)
        | RawBody::ExecFailed { .. }
        | RawBody::Identity(_)
        | RawBody::Payload { .. } => true,
    }
}

fn text_is_sound(path: &Text, span: Span) -> bool {
    let cut = span.flags & (SPAN_TRUNCATED | SPAN_UNREADABLE) != 0;
    let start = if cut { "…".as_bytes() } else { b"" };
    path.truncated == cut
        && path.bytes.starts_with(start)
        && !path.bytes.contains(&0)
        && matches!(path.bytes.get(start.len()), None | Some(b'/'))
}

proptest! {
    #[test]
    fn any_sample_converts_or_errs(sample in sample()) {
        let raw = sample.raw();
        let event = convert(&raw);
        prop_assert_eq!(event.is_ok(), makes_sense(&raw.body));
        let Ok(Event { time_ns, what: What::Seen(seen) }) = event else { return Ok(()) };
        prop_assert_eq!((time_ns, seen.source), (raw.header.time_ns, raw.source));
        match (&seen.deed, &raw.body) {
            (
                Deed::Open(file) | Deed::Receive(file) | Deed::Read { file, .. } | Deed::Unix { file, .. },
                RawBody::Open { fixed, .. },
            ) => prop_assert!(text_is_sound(&file.path, fixed.path)),
            (Deed::Exec { exe, cgroup, filename, .. }, RawBody::Exec { fixed, .. }) => {
                prop_assert!(text_is_sound(exe, fixed.path) && text_is_sound(cgroup, fixed.cgroup));
                prop_assert!(!filename.bytes.contains(&0));
            }
            _ => {}
        }
    }

    #[test]
    fn any_changed_byte_converts_or_errs(sample in sample(), by in 1..=u8::MAX) {
        let mut bytes = sample.encode();
        for at in 0..bytes.len() {
            bytes[at] ^= by;
            if let Ok(raw) = RawEvent::decode(&bytes) {
                prop_assert_eq!(convert(&raw).is_ok(), makes_sense(&raw.body));
            }
            bytes[at] ^= by;
        }
    }

    #[test]
    fn names_become_the_path_they_came_from(names in prop::collection::vec("[^/\0]{1,9}", 1..12)) {
        let wire: Vec<u8> = names.iter().rev().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect();
        let path: String = names.iter().flat_map(|name| ["/", name]).collect();
        prop_assert_eq!(opened(&wire, 0), whole(path.as_bytes()));
        prop_assert_eq!(opened(&wire, SPAN_TRUNCATED), cut(&format!("…{path}")));
    }

    #[test]
    fn arguments_become_what_they_were(args in prop::collection::vec("[^\0]{0,9}", 1..12)) {
        // One empty argument and none at all are the same bytes but for the NUL, and are told alike.
        prop_assume!(args != [""]);
        let wire: Vec<u8> = args.iter().flat_map(|arg| [arg.as_bytes(), b"\0"].concat()).collect();
        let bytes: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        prop_assert_eq!(arguments(&wire, 0), (bytes, false));
    }

    #[test]
    fn every_status_is_an_exit(status: u32) {
        let signal = u8::try_from(status & 0x7f).unwrap();
        let expected = if signal == 0 {
            ExitStatus::Code(u8::try_from(status >> 8 & 0xff).unwrap())
        } else {
            ExitStatus::Signal { signal, core: status & 0x80 != 0 }
        };
        prop_assert_eq!(exit(status), Ok(Deed::Exit(expected)));
    }
}

#[test]
fn paths() {
    assert_eq!(opened(b"credentials\0.aws\0backup\0home\0", 0), whole(b"/home/backup/.aws/credentials"));
    assert_eq!(opened(b"credentials\0.aws\0", SPAN_TRUNCATED), cut("…/.aws/credentials"));
    assert_eq!(opened(b"credentials\0", SPAN_UNREADABLE), cut("…/credentials"));
    assert_eq!(opened(b"", SPAN_UNREADABLE), cut("…"), "nothing could be read");
    assert_eq!(opened(b"", 0), whole(b""), "there is no path");
    assert_eq!(opened(b"\0", 0), whole(b""), "a name of no letters is none");
    assert_eq!(opened(b"caf\xe9\0x\0", 0), whole(b"/x/caf\xe9"), "names are bytes");
}

#[test]
fn argv() {
    let split = |wire: &[u8]| arguments(wire, 0).0;
    assert_eq!(split(b"ls\0-l\0"), [b"ls".to_vec(), b"-l".to_vec()]);
    assert_eq!(split(b"ls\0\0-l\0\0"), [b"ls".to_vec(), b"".to_vec(), b"-l".to_vec(), b"".to_vec()]);
    assert_eq!(split(b"ls\0-"), [b"ls".to_vec(), b"-".to_vec()], "the last one is cut");
    assert!(split(b"").is_empty() && split(b"\0").is_empty());
    for (flags, cut) in [(0, false), (SPAN_TRUNCATED, true), (SPAN_UNREADABLE, true)] {
        assert_eq!(arguments(b"a\0", flags), (vec![b"a".to_vec()], cut));
    }
}

#[test]
fn exec() {
    let exec = Exec { ino: 5, dev: 6, old_tid: 7, filename: flagged(SPAN_TRUNCATED), ..Exec::default() };
    let texts: [&[u8]; 4] = [b"sh\0bin\0", b"/x/job.sh\0rest", b"sh\0", b"job.service\0system.slice\0"];
    let expected = Deed::Exec {
        exe: whole(b"/bin/sh"),
        filename: cut("/x/job.sh"),
        dev: 6,
        ino: 5,
        argv: vec![b"sh".to_vec()],
        argv_truncated: false,
        cgroup: whole(b"/system.slice/job.service"),
        nameless: true,
    };
    assert_eq!(deed(Fixed::Exec(exec), &texts), Ok(expected));
}

#[test]
fn exits() {
    let code = |code| Ok(Deed::Exit(ExitStatus::Code(code)));
    let signal = |signal, core| Ok(Deed::Exit(ExitStatus::Signal { signal, core }));
    assert_eq!(exit(0), code(0));
    assert_eq!(exit(3 << 8), code(3));
    assert_eq!(exit(255 << 8), code(255));
    assert_eq!(exit(9), signal(9, false));
    assert_eq!(exit(11 | 0x80), signal(11, true));
}

#[test]
fn addresses() {
    let to = |family, daddr| {
        deed(Fixed::Connect(Connect { conn_id: 7, daddr, family, dport: 443, protocol: 6 }), &[])
    };
    let connect = |to: IpAddr| Ok(Deed::Connect { to: Endpoint::tcp(to, 443) });
    let v4 = Ipv4Addr::new(192, 0, 2, 7);
    let v6: Ipv6Addr = "2001:db8::7".parse().unwrap();
    assert_eq!(to(AF_INET, four(v4)), connect(v4.into()));
    assert_eq!(to(AF_INET6, v6.octets()), connect(v6.into()));
    assert_eq!(to(AF_INET6, v4.to_ipv6_mapped().octets()), connect(v4.into()), "a v4 destination");
    assert_eq!(to(1, v6.octets()), Err(ConvertError::Family(1)));
}

#[test]
fn ends_of_connections() {
    let end = |errno| {
        let end = ConnectEnd { conn_id: 7, errno, sport: 0, family: AF_INET, saddr: [0; 16] };
        match deed(Fixed::ConnectEnd(end), &[]) {
            Ok(Deed::ConnectEnd { of, outcome, from: None }) => (of, outcome),
            other => unreachable!("an end became {other:?}"),
        }
    };
    let of = SampleId { cpu: 0, seq: 7 };
    assert_eq!(end(0), (of, Ok(())));
    assert_eq!(end(111), (of, Err(ConnectFailure::Errno(111))));
    assert_eq!(end(ERRNO_NONE), (of, Err(ConnectFailure::Abandoned)));
    assert_eq!(end(ERRNO_NONE - 1), (of, Err(ConnectFailure::Errno(i32::MAX))));
}

#[test]
fn own_addresses() {
    let from = |saddr, family| match connected_from(saddr, family) {
        Ok(Deed::ConnectEnd { from, .. }) => from,
        other => unreachable!("an end became {other:?}"),
    };
    let v4 = Ipv4Addr::new(192, 0, 2, 7);
    assert_eq!(from(four(v4), AF_INET), Some((v4.into(), 4711)));
    assert_eq!(from(v4.to_ipv6_mapped().octets(), AF_INET6), Some((v4.into(), 4711)));
    assert_eq!(from([0; 16], AF_INET), None, "the kernel had chosen none");
    assert_eq!(from([0; 16], AF_INET6), None);
    assert_eq!(from(four(v4), 99), None, "an end is an end, even from nowhere");
}

#[test]
fn matches() {
    let matched = |matched| {
        let deed = deed(Fixed::Open(Kind::Open, Open { matched, ..Open::default() }), &[b""])?;
        if let Deed::Open(file) = deed { Ok(file.matched) } else { unreachable!("{deed:?}") }
    };
    assert_eq!(matched(MATCH_INODE), Ok(Matched::Inode));
    assert_eq!(matched(MATCH_ENTRY), Ok(Matched::Entry));
    assert_eq!(matched(MATCH_DIR), Ok(Matched::Directory));
    assert_eq!(matched(MATCH_NAME), Ok(Matched::Name));
    assert_eq!(matched(0), Err(ConvertError::Matched(0)));
    assert_eq!(matched(5), Err(ConvertError::Matched(5)));
}

#[test]
fn who_acted() {
    let task = Task { tgid: 8, start_ns: 9, comm: *b"cron\0junk-behind", ..Task::default() };
    let seen = |task| {
        let header = Header { task, cpu: 3, seq: 4, ..Header::default() };
        with_header(header, Fixed::Fork(Fork::default()), &[]).unwrap()
    };
    let nobody = seen(Task { login_uid: u32::MAX, session_id: u32::MAX, ..task });
    assert_eq!(nobody.id, SampleId { cpu: 3, seq: 4 });
    assert_eq!((nobody.process.key.tgid, nobody.process.key.start_ns), (8, 9));
    assert_eq!((nobody.process.login_uid, nobody.process.session, nobody.process.parent), (None, None, None));
    assert_eq!(*nobody.process.comm, *b"cron");
    let flags = TASK_KTHREAD | TASK_PARTIAL;
    let somebody = seen(Task { login_uid: 0, session_id: 2, ppid: 1, parent_start_ns: 3, flags, ..task });
    assert_eq!((somebody.process.login_uid, somebody.process.session), (Some(0), Some(2)));
    assert_eq!(somebody.process.parent.map(|parent| (parent.tgid, parent.start_ns)), Some((1, 3)));
    assert!(somebody.process.kthread && !nobody.process.kthread);
}

#[test]
fn files_of_every_kind() {
    let open = |how| Open { matched: MATCH_NAME, how, ..Open::default() };
    let of = |kind, how| deed(Fixed::Open(kind, open(how)), &[b"token\0"]);
    assert!(matches!(of(Kind::Open, 0), Ok(Deed::Open(file)) if !file.backing));
    assert!(matches!(of(Kind::Open, HOW_BACKING), Ok(Deed::Open(file)) if file.backing));
    let with = |flags| {
        let fixed = Open { matched: MATCH_NAME, flags, ..Open::default() };
        match deed(Fixed::Open(Kind::Open, fixed), &[b"token\0"]) {
            Ok(Deed::Open(file)) => (file.only_written(), file.renamed()),
            other => unreachable!("an opening became {other:?}"),
        }
    };
    assert_eq!(with(0), (false, false));
    assert_eq!(with(1), (true, false));
    assert_eq!(with(FLAG_RENAMED), (false, true));
    assert_eq!(with(FLAG_RENAMED | 1), (false, true), "whole, whatever else is said");
    assert!(matches!(of(Kind::Receive, 0), Ok(Deed::Receive(_))));
    let read = |how| match of(Kind::Read, how) {
        Ok(Deed::Read { file, mapped }) => (file.backing, mapped),
        other => unreachable!("a read became {other:?}"),
    };
    assert_eq!(read(READ_CALL), (false, false));
    assert_eq!(read(READ_MAP | HOW_BACKING), (true, true));
    assert!(matches!(of(Kind::Unix, 0), Ok(Deed::Unix { refused: None, .. })));
    assert!(matches!(of(Kind::Unix, 13), Ok(Deed::Unix { refused: Some(13), .. })));
}

#[test]
fn what_is_no_connection_of_the_internet() {
    let mut daddr = [0; 16];
    daddr[..4].copy_from_slice(&2u32.to_ne_bytes());
    daddr[4..8].copy_from_slice(&70_000u32.to_ne_bytes());
    let vsock = Connect { daddr, family: AF_VSOCK, ..Connect::default() };
    let to = Endpoint::Vsock { cid: 2, port: 70_000 };
    assert_eq!(deed(Fixed::Connect(vsock), &[]), Ok(Deed::Connect { to }));
    let send = spoor_wire::Send { family: AF_INET, dport: 53, protocol: 17, ..spoor_wire::Send::default() };
    let sent = |errno| match deed(Fixed::Send(spoor_wire::Send { errno, ..send }), &[]) {
        Ok(Deed::Send { to: Endpoint::Inet { port: 53, transport: Transport::UDP, .. }, outcome }) => outcome,
        other => unreachable!("a sending became {other:?}"),
    };
    assert_eq!(sent(0), SendOutcome::Sent);
    assert_eq!(sent(101), SendOutcome::Failed(101));
    assert_eq!(sent(ERRNO_NONE), SendOutcome::Unknown);
}

#[test]
fn bytes_of_the_network_pass_as_they_are() {
    let header = Header { source: Source::SkbAnswer as u8, ..Header::default() };
    let payload = |kind| Fixed::Payload(kind, spoor_wire::Payload { conn_id: 9, data: Span::default() });
    let sample = Sample::new(header, payload(Kind::Answer), vec![vec![1, 0, 2]]);
    assert_eq!(convert(&sample.raw()).map(|event| event.what), Ok(What::Answer(vec![1, 0, 2])));
    let hello = Deed::Hello { of: SampleId { cpu: 0, seq: 9 }, bytes: vec![22, 3] };
    assert_eq!(deed(payload(Kind::Hello), &[&[22, 3]]), Ok(hello));
}

#[test]
fn keys_of_every_way() {
    let fixed = |how| spoor_wire::Key { serial: 7, owner: 34, rule: 9, how, ..spoor_wire::Key::default() };
    let of = |how| deed(Fixed::Key(fixed(how)), &[b"user", b"db:orders"]);
    for (how, way, name) in [
        (KEY_READ, KeyWay::Read, "copy"),
        (KEY_FIND, KeyWay::Find, "find"),
        (KEY_ADD, KeyWay::Add, "add"),
        (KEY_UPDATE, KeyWay::Update, "update"),
    ] {
        let Ok(Deed::Key { key, way: found }) = of(how) else { unreachable!("{how} is no deed with a key") };
        assert_eq!((found, found.name()), (way, name));
        assert_eq!((key.serial, key.owner, key.rule), (7, 34, 9));
        assert_eq!(
            (key.kind.bytes.as_slice(), key.description.bytes.as_slice()),
            (&b"user"[..], &b"db:orders"[..])
        );
    }
    assert_eq!(of(5), Err(ConvertError::Key(5)));
}
