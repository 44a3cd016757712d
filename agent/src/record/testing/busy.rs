//! A busy server, whose connections are told together.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::night::{Night, credential, file, link, process};
use super::{MS, T0};
use crate::action::{ActionDeed, ActionId, ConnectOutcome};
use crate::actor::{Actor, ActorKind};
use crate::chain::{Basis, CloseReason, LinkFact, Note, Reached, Summary, Together};
use crate::event::{Endpoint, SendOutcome, Transport};

fn together(since_ms: u64, ids: &[ActionId], ports: &[u16]) -> Box<Together> {
    Box::new(Together { since_ns: T0 + since_ms * MS, ids: ids.to_vec(), ports: ports.to_vec() })
}

/// A web server holds a certificate's key, accepts many connections of one client, asks its backend and writes to a log host;
/// then a child is made for one of those connections. Its chain has all the records that it may have.
pub(crate) fn busy() -> Vec<Note> {
    let actor = Actor {
        id: "systemd:nginx.service".to_owned(),
        kind: ActorKind::SystemdService,
        origin: "init".to_owned(),
        user: "www-data".to_owned(),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    };
    let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let mut night = Night::new(0x6_11c0_52aa_90b1, actor);
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let worker = Arc::new(process(700, T0 - 900 * MS, "/usr/sbin/nginx", &["nginx: worker"], Some(&init)));
    let key = credential("tls-key", "/etc/ssl/private/www.key", &[]);
    night.opened(&worker, &[&init]);
    let deed =
        ActionDeed::SecretOpen { file: file("/etc/ssl/private/www.key", 77), credential: Arc::clone(&key) };
    let opened = night.act(1, &worker, deed, &[&key], None);

    let accept =
        |port| ActionDeed::Accept { from: (v4(7), port), at: (v4(1), 443), transport: Transport::TCP };
    night.act(2, &worker, accept(51_000), &[], None);
    let last = night.act(740, &worker, accept(51_301), &[], None);
    let earlier = [ActionId(3_001), ActionId(3_002), last];
    night.last().together = Some(together(3, &earlier, &[51_001, 51_002, 51_301]));

    let backend = Endpoint::tcp(v4(9), 8080);
    let deed = ActionDeed::Connect {
        to: backend,
        name: None,
        from: Some((v4(1), 40_120)),
        outcome: ConnectOutcome::Established,
        took_ns: Some(90_000),
        completes: None,
    };
    let after = link(&[opened], Basis::SameProcess, 739_000, 0, &[LinkFact::OnlyCredential]);
    let last = night.act(741, &worker, deed, &[&key], Some(after));
    // Of one of them the port is not known.
    night.last().together = Some(together(4, &[ActionId(3_003), ActionId(3_004), last], &[40_118, 40_120]));

    let log = Endpoint::Inet { ip: v4(5), port: 514, transport: Transport::UDP };
    let deed = ActionDeed::Send { to: log, name: None, outcome: SendOutcome::Sent };
    let last = night.act(742, &worker, deed, &[], None);
    night.last().together = Some(together(5, &[ActionId(3_005), last], &[]));

    // It is done for one of those that are told together.
    let child = Arc::new(process(705, T0 + 743 * MS, "/usr/bin/convert", &["convert"], Some(&worker)));
    night.act(744, &child, ActionDeed::Exec { environment: Vec::new() }, &[], None);
    night.last().request = Some(ActionId(3_002));
    let reached = |to, established, outcome| Reached { to, name: None, attempts: 3, established, outcome };
    let summary = Summary {
        actions: 11,
        folded: 5_120,
        credentials: vec![key],
        destinations: vec![
            reached(backend, 3, Some(ConnectOutcome::Established)),
            Reached { attempts: 2, ..reached(log, 0, None) },
        ],
        programs: 1,
        processes: 2,
        ..Summary::default()
    };
    night.closed(3_600_000, &worker, CloseReason::Full, None, summary);
    night.notes
}
