//! The shape of records on the wire to the outside. Key order is the order of the fields here. What is absent is left
//! out, but for `auid`, whose absence is what makes a service account.

mod agent;
mod chains;
mod purposes;

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

pub(super) use self::agent::{CoverageShape, HeadShape, HeartbeatShape, OwnShape, OwnSinkShape, SignedShape};
pub(super) use self::chains::{
    ChainShape, ExecutedShape, FanOutShape, ReachedShape, RunAttemptShape, SummaryShape,
};
use super::identifiers::Identifiers;
use super::kept::Part;
use crate::lineage::Cpid;
pub(super) use purposes::{ConfigShape, PurposeShape, PurposesShape, VerdictsShape};

/// Pairs as an object, in their order.
#[derive(Default)]
pub(super) struct Pairs<'a, V>(pub(super) Vec<(&'a str, V)>);

impl<V> Pairs<'_, V> {
    pub(super) fn is_empty(&self) -> bool {
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

#[derive(Default, Serialize)]
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
    pub(super) user_source: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) human: Option<HumanShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) human_unknown: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<PodShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) spiffe_id: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct HumanShape<'a> {
    pub(super) user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<&'a str>,
    pub(super) basis: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<&'a str>,
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
    pub(super) id: Option<Cpid>,
    pub(super) pid: u32,
    pub(super) start_ns: u64,
}

#[derive(Serialize)]
pub(super) struct ProcessShape {
    pub(super) id: Cpid,
    pub(super) pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ns_pid: Option<u32>,
    pub(super) start_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exe: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) argv: Option<Part>,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) argv_truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) exe_nameless: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) script: Option<Part>,
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

/// A credential's part, with the id by which it is known there.
pub(super) struct CredentialPart<'a> {
    pub(super) id: &'a str,
    pub(super) part: Part,
}

impl Serialize for CredentialPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.part.serialize(serializer)
    }
}

#[derive(Serialize)]
pub(super) struct CredentialShape<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'a str,
    pub(super) path: String,
    #[serde(skip_serializing_if = "Identifiers::is_empty")]
    pub(super) identifiers: Identifiers<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) fingerprints: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) written: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) issuer: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) destinations: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifetime: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_age_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) human_use: Option<&'static str>,
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

/// A key of the kernel's key rings.
#[derive(Serialize)]
pub(super) struct KeyShape {
    pub(super) r#type: String,
    pub(super) description: String,
    #[serde(skip_serializing_if = "is_false")]
    pub(super) description_truncated: bool,
    pub(super) serial: u32,
    pub(super) owner: u32,
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
pub(super) struct SourceShape<'a> {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) ports: &'a [u16],
}

#[derive(Serialize)]
pub(super) struct LinkShape<'a> {
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
    pub(super) confidence: u8,
    /// Where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) each: Vec<EachShape<'a>>,
}

/// One credential of a link.
#[derive(Serialize)]
pub(super) struct EachShape<'a> {
    pub(super) credential: &'a str,
    pub(super) confidence: u8,
}

/// Something done again after it failed.
#[derive(Serialize)]
pub(super) struct AttemptShape {
    pub(super) number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<u64>,
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
    pub(super) host: Part,
    pub(super) chain: &'a str,
    pub(super) run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    pub(super) actor: Part,
    pub(super) process: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) how: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<IdsShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<IdsShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<KeyShape>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) environment: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit: Option<ExitShape>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) credential: Vec<CredentialPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) destination: Option<DestinationShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<SourceShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<LinkShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<AttemptShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<PurposeShape<'a>>,
    pub(super) seen_by: &'static str,
}

#[derive(Serialize)]
pub(super) struct GapShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) kind: &'static str,
    pub(super) since: String,
    pub(super) host: Part,
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

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero<N: Default + PartialEq>(value: &N) -> bool {
    *value == N::default()
}
