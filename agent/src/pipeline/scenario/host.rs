//! The host that stories are played on.

use std::sync::Arc;

use super::{ALICE, BACKUP, Catalogue, JENKINS, POD, POD_LATE, POD_SOON, POD_STATIC, SECOND, Stages};
use crate::actor::{Fake, Login, PodIdentity, Resolver};
use crate::chain::{Limits, Machine};
use crate::lineage::{self, Table};
use crate::telemetry::Ledger;

/// A pod of the namespace `shop`, and from when on it is known.
fn pod(uid: &str, since_ns: u64, account: Option<&str>) -> (String, (u64, Arc<PodIdentity>)) {
    let pod = PodIdentity {
        namespace: "shop".to_owned(),
        name: format!("{}-0", account.unwrap_or("static")),
        service_account: account.map(str::to_owned),
        owner: account.map(|account| format!("Deployment/{account}")),
        containers: account.map(|account| ("e".repeat(64), account.to_owned())).into_iter().collect(),
        ..PodIdentity::default()
    };
    (uid.to_owned(), (since_ns, Arc::new(pod)))
}

/// A session of alice's, who came from there.
fn login(from: &str) -> Arc<Login> {
    Arc::new(Login { uid: Some(ALICE), from: Some(from.to_owned()), ..Login::default() })
}

/// Who lives there.
pub(crate) fn fake() -> Fake {
    Fake {
        users: [(0, "root"), (BACKUP, "backup"), (ALICE, "alice"), (JENKINS, "jenkins")]
            .map(|(uid, name)| (uid, name.to_owned()))
            .into(),
        timers: [("dump.service".to_owned(), "dump.timer".to_owned())].into(),
        pods: [
            pod(POD, 0, Some("cart")),
            pod(POD_LATE, 1030 * SECOND, Some("till")),
            pod(POD_SOON, 1005 * SECOND, Some("till")),
            pod(POD_STATIC, 0, None),
        ]
        .into(),
        logins: [("3", "10.0.0.5"), ("5", "10.0.0.6")]
            .map(|(name, from)| (name.to_owned(), login(from)))
            .into(),
        sub_users: [(100_033, "alice".to_owned())].into(),
        containers_ns: 1010 * SECOND,
        container_names: [("a".repeat(64), "web".to_owned())].into(),
        now_ns: 0,
    }
}

pub(crate) fn stages(limits: Limits, processes_max: usize) -> Stages<Catalogue, Fake> {
    let boot_id = [7; 16];
    Stages::new(
        Table::new(lineage::Limits { processes_max }, boot_id),
        Resolver::new(fake()),
        Catalogue,
        Machine::new(limits, boot_id, 1_700_000_000_000_000_000),
        Arc::new(Ledger::default()),
    )
}
