//! What the agent says of itself.

use serde::Serialize;

use super::{ConfigShape, Pairs, PurposesShape, SignalShape};
use crate::record::kept::Part;

#[derive(Serialize)]
pub(in crate::record) struct CoverageShape<'a> {
    pub(in crate::record) v: u64,
    pub(in crate::record) seq: u64,
    pub(in crate::record) time: String,
    pub(in crate::record) r#type: &'static str,
    pub(in crate::record) host: Part,
    pub(in crate::record) agent_version: &'a str,
    pub(in crate::record) kernel: &'a str,
    pub(in crate::record) scope: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) purposes: Option<PurposesShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) config: Option<ConfigShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) own: Option<OwnShape<'a>>,
    pub(in crate::record) signals: Vec<SignalShape<'a>>,
}

#[derive(Serialize)]
pub(in crate::record) struct OwnShape<'a> {
    pub(in crate::record) pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) start_ns: Option<u64>,
    pub(in crate::record) exe: String,
    pub(in crate::record) store: String,
    pub(in crate::record) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) listen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) pods: Option<String>,
    pub(in crate::record) sinks: Vec<OwnSinkShape<'a>>,
}

#[derive(Serialize)]
pub(in crate::record) struct OwnSinkShape<'a> {
    pub(in crate::record) name: &'a str,
    pub(in crate::record) r#type: &'a str,
    pub(in crate::record) to: Vec<String>,
}

#[derive(Serialize)]
pub(in crate::record) struct HeartbeatShape<'a> {
    pub(in crate::record) v: u64,
    pub(in crate::record) seq: u64,
    pub(in crate::record) time: String,
    pub(in crate::record) r#type: &'static str,
    pub(in crate::record) state: &'static str,
    pub(in crate::record) host: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) learning_until: Option<String>,
    pub(in crate::record) counters: Pairs<'a, u64>,
}

#[derive(Serialize)]
pub(in crate::record) struct HeadShape<'a> {
    pub(in crate::record) v: u64,
    pub(in crate::record) seq: u64,
    pub(in crate::record) time: String,
    pub(in crate::record) r#type: &'static str,
    pub(in crate::record) host: Part,
    pub(in crate::record) head: SignedShape<'a>,
}

#[derive(Serialize)]
pub(in crate::record) struct SignedShape<'a> {
    pub(in crate::record) seq: u64,
    pub(in crate::record) hash: &'a str,
    pub(in crate::record) key: &'a str,
    pub(in crate::record) note: &'a str,
}
