//! The shape of findings.

use serde::Serialize;

use crate::record::kept::Part;
use crate::record::shape::{ActorShape, CredentialShape, Pairs};

/// What a kind is called elsewhere.
#[derive(Serialize)]
pub(super) struct TagsShape {
    pub(super) owasp_nhi: &'static [&'static str],
    pub(super) attack: &'static [&'static str],
    pub(super) nist_csf: &'static [&'static str],
    pub(super) sp_800_207: &'static [&'static str],
}

#[derive(Serialize)]
pub(super) struct FindingShape<'a> {
    pub(super) v: u64,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) r#type: &'static str,
    pub(super) finding_id: String,
    pub(super) told: &'static str,
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    pub(super) reason: &'a str,
    pub(super) host: Part,
    pub(super) chain: &'a str,
    pub(super) run: String,
    pub(super) actor: ActorShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_program: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) credential: Vec<CredentialShape<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) subject: &'a str,
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub(super) facts: Pairs<'a, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) actions: Vec<u64>,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) folded: u64,
    pub(super) tags: TagsShape,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
