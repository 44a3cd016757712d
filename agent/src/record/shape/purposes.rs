//! The shape of what purposes say.

use serde::Serialize;

#[derive(Serialize)]
pub(in crate::record) struct PurposeShape<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) name: Option<&'a str>,
    pub(in crate::record) verdict: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::record) misfits: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) reason: Option<&'a str>,
}

#[derive(Serialize)]
pub(in crate::record) struct VerdictsShape<'a> {
    pub(in crate::record) within: u64,
    pub(in crate::record) outside: u64,
    pub(in crate::record) undeclared: u64,
    pub(in crate::record) names: Vec<&'a str>,
}

#[derive(Serialize)]
pub(in crate::record) struct PurposesShape<'a> {
    pub(in crate::record) count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::record) set: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(in crate::record) refused: &'a [String],
}

/// What became of the config when it was read again.
#[derive(Serialize)]
pub(in crate::record) struct ConfigShape<'a> {
    pub(in crate::record) changed: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(in crate::record) waiting: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(in crate::record) refused: &'a [String],
}
