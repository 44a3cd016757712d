//! The shape of records on the wire to the outside. Key order is the order of the fields here. What is absent is left
//! out, but for `auid`, whose absence is what makes a service account.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// Pairs as an object, in their order.
pub(super) struct Pairs<'a, V>(pub(super) Vec<(&'a str, V)>);

impl<V> Pairs<'_, V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: Serialize> Serialize for Pairs<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
pub(super) struct HostShape<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) boot_id: &'a str,
}

#[derive(Serialize)]
pub(super) struct ActorShape<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'static str,
    pub(super) origin: &'a str,
    pub(super) user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<PodShape<'a>>,
}

#[derive(Serialize)]
pub(super) struct PodShape<'a> {
    pub(super) uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct ParentShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    pub(super) pid: u32,
    pub(super) start_ns: u64,
}

#[derive(Serialize)]
pub(super) struct ProcessShape<'a> {
    pub(super) id: &'a str,
    pub(super) pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ns_pid: Option<u32>,
    pub(super) start_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exe: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) argv: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) argv_truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) exe_nameless: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) script: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) comm: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) euid: Option<u32>,
    /// Outer: whether it was read at all. Inner: whether somebody logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) auid: Option<Option<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cgroup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<ParentShape>,
}

#[derive(Serialize)]
pub(super) struct CredentialShape<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'a str,
    pub(super) path: String,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) identifiers: Pairs<'a, &'a str>,
}

#[derive(Serialize)]
pub(super) struct FileShape {
    pub(super) path: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) path_truncated: bool,
    pub(super) dev: String,
    pub(super) ino: u64,
    pub(super) generation: u32,
    pub(super) access: &'static str,
    pub(super) owner: u32,
    pub(super) mode: String,
    pub(super) matched: &'static str,
    pub(super) links: u32,
}

#[derive(Serialize)]
pub(super) struct ExitShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) core: Option<bool>,
}

#[derive(Default, Serialize)]
pub(super) struct DestinationShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    pub(super) transport: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name_source: Option<&'static str>,
}

/// Users, capabilities and namespaces, as far as they changed.
#[derive(Serialize)]
pub(super) struct IdsShape {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) euid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) suid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) egid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cap_effective: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cap_permitted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_ns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mnt_ns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) net_ns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid_ns: Option<u32>,
}

#[derive(Serialize)]
pub(super) struct SourceShape {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

#[derive(Serialize)]
pub(super) struct LinkShape {
    pub(super) relation: &'static str,
    pub(super) of: Vec<u64>,
    /// Openings whose records the builder no longer knows.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) of_unknown: usize,
    pub(super) basis: &'static str,
    pub(super) delay_ms: f64,
    pub(super) hops: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) facts: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct ActionShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) took_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completes: Option<u64>,
    pub(super) host: HostShape<'a>,
    pub(super) chain: &'a str,
    pub(super) run: String,
    pub(super) actor: ActorShape<'a>,
    pub(super) process: ProcessShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) how: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<ProcessShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<IdsShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<IdsShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitShape>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) credential: Vec<CredentialShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<DestinationShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<SourceShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<LinkShape>,
    pub(super) seen_by: &'static str,
}

#[derive(Serialize)]
pub(super) struct ReachedShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cid: Option<u32>,
    pub(super) port: u32,
    pub(super) transport: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) attempts: u64,
    pub(super) established: u64,
}

#[derive(Serialize)]
pub(super) struct SummaryShape<'a> {
    pub(super) actions: u64,
    pub(super) folded: u64,
    pub(super) programs: u64,
    pub(super) processes: u64,
    pub(super) credentials: Vec<CredentialShape<'a>>,
    pub(super) destinations: Vec<ReachedShape<'a>>,
    pub(super) gaps: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct ChainShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) status: &'static str,
    pub(super) host: HostShape<'a>,
    pub(super) chain: &'a str,
    pub(super) run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<String>,
    pub(super) actor: ActorShape<'a>,
    pub(super) root: ProcessShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lineage: Option<Vec<ProcessShape<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gaps: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary: Option<SummaryShape<'a>>,
}

#[derive(Serialize)]
pub(super) struct GapShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) kind: &'static str,
    pub(super) since: String,
    pub(super) host: HostShape<'a>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) counts: Pairs<'static, u64>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) cpus: Pairs<'a, u64>,
    pub(super) chains: &'a [String],
}

#[derive(Serialize)]
pub(super) struct RefusedShape<'a> {
    pub(super) tier: &'a str,
    pub(super) why: &'a str,
}

#[derive(Serialize)]
pub(super) struct SignalShape<'a> {
    pub(super) signal: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tier: Option<&'a str>,
    pub(super) attach: &'a [String],
    pub(super) proven: bool,
    pub(super) blind: &'a [String],
    pub(super) refused: Vec<RefusedShape<'a>>,
}

#[derive(Serialize)]
pub(super) struct CoverageShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) host: HostShape<'a>,
    pub(super) agent_version: &'a str,
    pub(super) kernel: &'a str,
    pub(super) scope: &'a [String],
    pub(super) signals: Vec<SignalShape<'a>>,
}

#[derive(Serialize)]
pub(super) struct HeartbeatShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) state: &'static str,
    pub(super) host: HostShape<'a>,
    pub(super) counters: Pairs<'a, u64>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}
