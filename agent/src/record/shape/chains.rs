//! Shapes of what is told of chains.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::{CredentialPart, ExitShape, VerdictsShape, is_zero};
use crate::record::kept::Part;

/// A run begun again after it failed.
#[derive(Serialize)]
pub(in crate::record) struct RunAttemptShape {
    pub(in crate::record) number: u64,
    pub(in crate::record) of: String,
    pub(in crate::record) after: String,
    pub(in crate::record) failed: ExitShape,
    pub(in crate::record) delay_ms: f64,
}

#[derive(Serialize)]
pub(in crate::record) struct FanOutShape<'a> {
    pub(in crate::record) credential: &'a str,
    pub(in crate::record) destinations: &'a [usize],
}

#[derive(Serialize)]
pub(in crate::record) struct ExecutedShape {
    pub(in crate::record) exe: String,
    pub(in crate::record) count: u64,
}

#[derive(Serialize)]
pub(in crate::record) struct ReachedShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) ip: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) cid: Option<u32>,
    pub(in crate::record) port: u32,
    pub(in crate::record) transport: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) name: Option<&'a str>,
    pub(in crate::record) attempts: u64,
    pub(in crate::record) established: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) outcome: Option<&'static str>,
}

#[derive(Serialize)]
pub(in crate::record) struct SummaryShape<'a> {
    pub(in crate::record) actions: u64,
    pub(in crate::record) folded: u64,
    pub(in crate::record) programs: u64,
    pub(in crate::record) processes: u64,
    pub(in crate::record) credentials: Vec<CredentialPart<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::record) written: Vec<CredentialPart<'a>>,
    pub(in crate::record) destinations: Vec<ReachedShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::record) fan_out: Vec<FanOutShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::record) executed: Vec<ExecutedShape>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::record) retries: u64,
    pub(in crate::record) gaps: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) purpose: Option<VerdictsShape<'a>>,
}

#[derive(Serialize)]
pub(in crate::record) struct ChainShape<'a> {
    pub(in crate::record) v: u64,
    pub(in crate::record) seq: u64,
    pub(in crate::record) time: String,
    pub(in crate::record) r#type: &'static str,
    pub(in crate::record) status: &'static str,
    pub(in crate::record) host: Part,
    pub(in crate::record) chain: &'a str,
    pub(in crate::record) run: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) run_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) attempt: Option<RunAttemptShape>,
    pub(in crate::record) actor: Part,
    pub(in crate::record) root: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) lineage: Option<Vec<Part>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) gaps: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) exit: Option<ExitShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) summary: Option<SummaryShape<'a>>,
}
