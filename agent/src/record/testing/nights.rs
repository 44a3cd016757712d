//! The nights themselves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::night::{Night, connect, credential, file, link, process, text};
use super::{MS, T0};
use crate::action::{ActionDeed, ActionId, ConnectOutcome};
use crate::actor::{Actor, ActorKind, Human, HumanBasis, HumanUnknown, Pod};
use crate::chain::{
    Attempt, Basis, CloseReason, Executed, FanOut, Gap, GapKind, Link, LinkFact, Note, Reached, RunAttempt,
    Summary, Ulid,
};
use crate::credential::Credential;
use crate::event::{
    Endpoint, ExitStatus, IdentityChange, Ids, Kind, Matched, MemoryWay, SendOutcome, Transport,
};
use crate::lineage::KnownBy;
use crate::names::{NameSource, Named};

fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn v6_of(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
}

fn reached(ip: IpAddr, port: u16, attempts: u64, established: u64) -> Reached {
    let outcome = if established > 0 { ConnectOutcome::Established } else { ConnectOutcome::Refused };
    Reached { to: Endpoint::tcp(ip, port), name: None, attempts, established, outcome: Some(outcome) }
}

fn attempt(number: u64, after: u128, failed: ExitStatus) -> RunAttempt {
    let earlier = |chain: u128| Ulid((1_767_322_700_000 << 80) | chain);
    RunAttempt { number, of: earlier(1), after: earlier(after), failed, delay_ns: 30_000 * MS }
}

pub(super) fn backup_actor() -> Actor {
    Actor {
        id: "systemd:backup.service".to_owned(),
        kind: ActorKind::SystemdService,
        origin: "timer:backup.timer".to_owned(),
        user: "backup".to_owned(),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    }
}

/// The night job of user backup: opens two credentials, executes a second program, which is refused once and then
/// connects; everything ends well.
pub(crate) fn backup() -> Vec<Note> {
    let mut night = Night::new(0x3f2_81c4_77aa_90e1, backup_actor());
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let mut job = process(
        812,
        T0 - 40 * MS,
        "/usr/bin/bash",
        &["/bin/bash", "/usr/local/bin/nightly-backup"],
        Some(&init),
    );
    Arc::make_mut(&mut job.program).script = Some(text("/usr/local/bin/nightly-backup"));
    let job = Arc::new(job);
    let restic = Arc::new(process(
        815,
        T0 + 11 * MS,
        "/usr/bin/restic",
        &["restic", "--password=hunter2", "-r", "s3:https://10.0.0.9/backup", "backup", "/srv"],
        Some(&job),
    ));
    let aws =
        credential("aws-access-key", "/home/backup/.aws/credentials", &[("key_id", "AKIAIOSFODNN7EXAMPLE")]);
    let pgpass =
        credential("pgpass", "/home/backup/.pgpass", &[("host", "db.example.com"), ("user", "backup")]);

    night.attempt = Some(attempt(3, 2, ExitStatus::Code(75)));
    night.opened(&job, &[&init]);
    let open = |path: &str, ino, credential: &Arc<Credential>| ActionDeed::SecretOpen {
        file: file(path, ino),
        credential: Arc::clone(credential),
    };
    let deed = open("/home/backup/.aws/credentials", 131_077, &aws);
    let first = night.act(0, &job, deed, &[&aws], None);
    let deed = open("/home/backup/.pgpass", 131_080, &pgpass);
    let second = night.act(3, &job, deed, &[&pgpass], None);
    let both = [second, first];
    let creds = [&pgpass, &aws];
    let each = vec![(pgpass.id.clone(), 32), (aws.id.clone(), 31)];
    let two = |delay_us, facts: &[LinkFact]| Link {
        confidence: 32,
        each: each.clone(),
        ..link(&both, Basis::Inherited, delay_us, 1, facts)
    };
    let hop = |delay_us| Some(two(delay_us, &[]));
    night.act(12, &restic, ActionDeed::Exec { environment: Vec::new() }, &creds, hop(9_000));
    night.last().attempt = Some(Attempt { number: 2, of: None, after: None });
    let after = two(21_000, &[LinkFact::FirstConnection]);
    let refused = connect(9, 443, ConnectOutcome::Refused, Some(412));
    let refused = night.act(24, &restic, refused, &creds, Some(after));
    let deed = connect(9, 443, ConnectOutcome::Established, Some(1_830));
    night.act(1_031, &restic, deed, &creds, hop(1_028_000));
    night.last().attempt = Some(Attempt { number: 2, of: Some(refused), after: Some(refused) });
    night.act(48_210, &restic, ActionDeed::Exit(ExitStatus::Code(0)), &creds, hop(48_207_000));
    let same = link(&both, Basis::SameProcess, 48_209_500, 0, &[]);
    night.act(48_213, &job, ActionDeed::Exit(ExitStatus::Code(0)), &creds, Some(same));
    let summary = Summary {
        actions: 7,
        folded: 0,
        fan_out: [&aws, &pgpass]
            .map(|credential| FanOut { credential: credential.id.clone(), destinations: vec![0] })
            .into(),
        credentials: vec![aws, pgpass],
        written: Vec::new(),
        destinations: vec![reached(v4(9), 443, 2, 1)],
        programs: 1,
        executed: vec![Executed { exe: text("/usr/bin/restic"), count: 1 }],
        retries: 1,
        processes: 2,
        gaps: Vec::new(),
        verdicts: None,
    };
    night.closed(48_213, &job, CloseReason::RunEnded, Some(ExitStatus::Code(0)), summary);
    night.notes
}

/// A container's run in which everything that can be odd is odd: gaps, cut names, a pending connection, links to what is
/// no longer known, an end by a signal.
#[expect(clippy::too_many_lines, reason = "one night, told from its beginning to its end")]
pub(crate) fn edges() -> Vec<Note> {
    let actor = Actor {
        id: "container:docker:0123456789ab".to_owned(),
        kind: ActorKind::Container,
        origin: "exec:docker".to_owned(),
        user: "10001".to_owned(),
        user_source: None,
        human: None,
        human_unknown: Some(HumanUnknown::SeveralFit),
        pod: Some(Arc::new(Pod { uid: "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc".to_owned(), ..Pod::default() })),
        spiffe_id: None,
    };
    let mut night = Night::new(0x7_1177_0042_9c3d_55f0, actor);
    let shim = Arc::new(process(700, T0 - 90_000 * MS, "/usr/bin/containerd-shim", &["shim"], None));
    let mut agent = process(901, T0 - 80_000 * MS, "/app/agent", &["agent", "--serve"], Some(&shim));
    agent.ns_tgid = 7;
    Arc::make_mut(&mut agent.program).argv_truncated = true;
    agent.known_by = KnownBy::Proc;
    Arc::make_mut(&mut agent.program).script = Some(text("/app/run.sh"));
    let agent = Arc::new(agent);
    let mut forebear = process(700, T0 - 90_000 * MS, "/usr/bin/containerd-shim", &["shim"], None);
    forebear.ns_tgid = 3;
    let token = credential("kubernetes-token", "/run/secrets/tok\u{1b}en", &[]);

    night.attempt = Some(attempt(2, 1, ExitStatus::Signal { signal: 11, core: true }));
    night.opened(&agent, &[&Arc::new(forebear)]);
    if let Some(Note::Opened(opened)) = night.notes.last_mut() {
        opened.after = Some(Ulid(opened.chain.0 - 100));
        opened.gaps = vec![GapKind::OlderThanAgent];
    }
    let mut opened = file("…/run/secrets/tok\u{1b}en", 99);
    opened.path.truncated = true;
    (opened.flags, opened.matched, opened.links) = (2, Matched::Directory, 2);
    let deed = ActionDeed::SecretOpen { file: opened, credential: Arc::clone(&token) };
    let before = ActionId(9_999);
    let held = link(&[before], Basis::Held, 5_000_000, 0, &[]);
    let open = night.act(5, &agent, deed, &[&token], Some(held));
    night.completed(
        5,
        &agent,
        Actor {
            id: "kubernetes:shop:cart".to_owned(),
            kind: ActorKind::KubernetesServiceAccount,
            origin: "exec:docker".to_owned(),
            user: "10001".to_owned(),
            user_source: Some("subuid:alice".to_owned()),
            human: Some(Arc::new(Human {
                user: "alice".to_owned(),
                session: Some("3".to_owned()),
                from: Some("10.0.0.5".to_owned()),
                basis: HumanBasis::Client,
                client: Some("b770a0ed-8463-822c-b5f6-00000000032f".to_owned()),
            })),
            human_unknown: None,
            spiffe_id: Some("spiffe://example.org/ns/shop/sa/cart".to_owned()),
            pod: Some(Arc::new(Pod {
                uid: "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc".to_owned(),
                namespace: Some("shop".to_owned()),
                name: Some("cart-6d4b75cb6d-x8k2p".to_owned()),
                workload: Some("Deployment/cart".to_owned()),
                node: Some("node-7".to_owned()),
                container: Some("cart".to_owned()),
            })),
        },
    );
    let linked =
        |delay_us, facts: &[LinkFact]| Some(link(&[open, before], Basis::SameProcess, delay_us, 0, facts));
    let facts = [LinkFact::DestinationNamed, LinkFact::OnlyCredential, LinkFact::FirstConnection];
    let pending = night.act(
        6,
        &agent,
        connect(20, 6443, ConnectOutcome::Pending, None),
        &[&token],
        linked(900, &facts),
    );
    night.last().action.facts.session = Some(3);
    night.last().action.facts.login_uid = Some(1000);
    night.act(7, &agent, connect(21, 25, ConnectOutcome::Error(13), Some(40)), &[&token], linked(1_900, &[]));
    let mut v6 = connect(0, 8443, ConnectOutcome::TimedOut, Some(1_000_000));
    if let ActionDeed::Connect { to, .. } = &mut v6 {
        *to = Endpoint::tcp(v6_of(9), 8443);
    }
    night.act(1_008, &agent, v6, &[&token], linked(2_900, &[]));
    night.notes.push(Note::Gap(Gap {
        time_ns: T0 + 1_500 * MS,
        since_ns: T0 + 1_010 * MS,
        kind: GapKind::Lost,
        counts: vec![(Kind::Connect, 37), (Kind::ConnectEnd, 12)],
        cpus: vec![(0, 40), (1, 9)],
        chains: vec![night.chain],
    }));
    night.act(
        2_000,
        &agent,
        connect(20, 6443, ConnectOutcome::Established, Some(1_994_000)),
        &[&token],
        None,
    );
    if let ActionDeed::Connect { completes, .. } = &mut night.last().action.deed {
        *completes = Some(pending);
    }
    let killed = ExitStatus::Signal { signal: 11, core: true };
    night.act(
        2_100,
        &agent,
        ActionDeed::Exit(killed),
        &[&token],
        linked(2_095_000, &[LinkFact::OnlyCredential]),
    );
    let summary = Summary {
        actions: 6,
        folded: 3,
        credentials: vec![token],
        destinations: vec![
            reached(v4(20), 6443, 1, 1),
            reached(v4(21), 25, 1, 0),
            reached(v6_of(9), 8443, 4, 0),
        ],
        programs: 0,
        processes: 1,
        gaps: vec![GapKind::OlderThanAgent, GapKind::Truncated, GapKind::Lost],
        ..Summary::default()
    };
    night.closed(2_100, &agent, CloseReason::RunEnded, Some(killed), summary);
    night.notes
}

/// A run that takes every road there is beside opening a file and a TCP connection.
#[expect(clippy::too_many_lines, reason = "one night, told from its beginning to its end")]
pub(crate) fn roads() -> Vec<Note> {
    let mut night = Night::new(0x9_0042_11aa_3c5d_77e1, backup_actor());
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let mut job = process(640, T0 - 90 * MS, "/memfd:job", &["job"], Some(&init));
    Arc::make_mut(&mut job.program).nameless = true;
    let job = Arc::new(job);
    let holder = Arc::new(process(512, T0 - 5_000 * MS, "/usr/sbin/holder", &["holder"], Some(&init)));
    let token = credential("declared", "/srv/token", &[]);
    let docker = credential("docker-socket", "/run/docker.sock", &[]);
    let metadata = credential("cloud-metadata", "", &[("endpoint", "169.254.169.254:80")]);
    let name = |name: &str, source| Some(Named { name: name.to_owned(), source });
    night.opened(&job, &[&init]);
    let deed = ActionDeed::SecretReceive { file: file("/srv/token", 7), credential: Arc::clone(&token) };
    let received = night.act(1, &job, deed, &[&token], None);
    let linked =
        |delay_us| Some(link(&[received], Basis::Received, delay_us, 0, &[LinkFact::OnlyCredential]));
    for (ms, mapped) in [(2, false), (3, true)] {
        let file = file("/srv/token", 7);
        let deed = ActionDeed::SecretRead { file, credential: Arc::clone(&token), mapped };
        night.act(ms, &job, deed, &[&token], linked(ms * 1_000 - 1_000));
    }
    let deed = ActionDeed::SecretSocket {
        file: file("/run/docker.sock", 9),
        credential: Arc::clone(&docker),
        outcome: ConnectOutcome::Established,
    };
    night.act(4, &job, deed, &[&docker], None);
    for (ms, target, how) in
        [(5, Some(Arc::clone(&holder)), MemoryWay::Attach), (6, None, MemoryWay::Environ)]
    {
        night.act(ms, &job, ActionDeed::MemoryAccess { target, how }, &[&token], None);
    }
    let deed = ActionDeed::ExecFailed { program: text("/usr/bin/nmap"), errno: 13 };
    night.act(7, &job, deed, &[&token], linked(6_000));
    let ids = |id: u32, capabilities: u64| Ids {
        uid: Some(id),
        euid: Some(id),
        suid: Some(id),
        gid: Some(id),
        egid: Some(id),
        effective: Some(capabilities),
        permitted: Some(capabilities),
        user_ns: Some(4_026_531_837 - id),
        mnt_ns: Some(4_026_531_841 - id),
        net_ns: Some(4_026_531_840 - id),
        pid_ns: Some(4_026_531_836 - id),
    };
    let change = Box::new(IdentityChange { from: ids(990, 0), to: ids(0, 0x1ff_ffff_ffff) });
    night.act(8, &job, ActionDeed::CredChange(change), &[&token], linked(7_000));
    let udp = |port| Endpoint::Inet { ip: v4(53), port, transport: Transport::UDP };
    for (ms, outcome) in [(9, SendOutcome::Sent), (10, SendOutcome::Failed(101)), (11, SendOutcome::Unknown)]
    {
        let deed = ActionDeed::Send { to: udp(53), name: name("ns.example.com", NameSource::Dns), outcome };
        night.act(ms, &job, deed, &[&token], linked(ms * 1_000));
    }
    let deed =
        ActionDeed::Accept { from: (v6_of(7), 51_000), at: (v6_of(1), 443), transport: Transport::TCP };
    let accepted = night.act(12, &job, deed, &[], None);
    let plain = |to, name, outcome| ActionDeed::Connect {
        to,
        name,
        from: None,
        outcome,
        took_ns: Some(20_000),
        completes: None,
    };
    let vsock = Endpoint::Vsock { cid: 2, port: 1024 };
    night.act(13, &job, plain(vsock, None, ConnectOutcome::Refused), &[&token], linked(12_000));
    night.last().request = Some(accepted);
    night.act(14, &job, plain(udp(514), None, ConnectOutcome::Associated), &[&token], linked(13_000));
    let there = Endpoint::tcp(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
    let deed = plain(there, None, ConnectOutcome::Established);
    night.act(15, &job, deed, &[&metadata, &token], linked(14_000));
    let far = Endpoint::tcp(v4(9), 443);
    let deed = plain(far, name("a.example.com", NameSource::Dns), ConnectOutcome::Established);
    let first = night.act(16, &job, deed, &[&token], linked(15_000));
    let deed = plain(far, name("api.example.com", NameSource::Tls), ConnectOutcome::Established);
    night.act(17, &job, deed, &[&token], linked(15_000));
    if let ActionDeed::Connect { completes, .. } = &mut night.last().action.deed {
        *completes = Some(first);
    }
    let summary = Summary {
        actions: 17,
        credentials: vec![token, docker, metadata],
        destinations: vec![
            Reached {
                to: udp(53),
                name: name("ns.example.com", NameSource::Dns),
                attempts: 1,
                established: 0,
                outcome: None,
            },
            Reached { to: vsock, name: None, attempts: 1, established: 0, outcome: None },
            Reached {
                to: far,
                name: name("api.example.com", NameSource::Tls),
                attempts: 1,
                established: 1,
                outcome: Some(ConnectOutcome::Established),
            },
        ],
        programs: 0,
        processes: 1,
        ..Summary::default()
    };
    night.closed(20, &job, CloseReason::Quiet, None, summary);
    night.notes
}
