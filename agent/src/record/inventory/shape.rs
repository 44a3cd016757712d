//! The shape of inventory records.

use serde::Serialize;

use crate::record::kept::Part;
use crate::record::shape::{ActorShape, CredentialShape, Pairs};

#[derive(Serialize)]
pub(super) struct SpanShape<'a> {
    pub(super) id: &'a str,
    pub(super) first: String,
    pub(super) last: String,
}

#[derive(Serialize)]
pub(super) struct FileShape {
    pub(super) path: String,
    pub(super) owner: u32,
    pub(super) mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) written: Option<String>,
}

#[derive(Serialize)]
pub(super) struct HostReachedShape<'a> {
    pub(super) to: &'a str,
    pub(super) port: u32,
    pub(super) reached: bool,
    pub(super) first: String,
    pub(super) last: String,
}

#[derive(Default, Serialize)]
pub(super) struct InventoryShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) of: &'static str,
    pub(super) why: Vec<&'static str>,
    pub(super) host: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<ActorShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) credential: Vec<CredentialShape<'a>>,
    pub(super) watched_since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) versions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_program: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) programs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) files: Vec<FileShape>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) actors: Vec<SpanShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) credentials: Vec<SpanShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) people: Vec<SpanShape<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) destinations: Vec<HostReachedShape<'a>>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) total: Pairs<'static, u64>,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) left_out: Pairs<'static, u64>,
}
