//! Which chains somebody wants to see.

use crate::record::{View, nanoseconds};

/// Which chains. What is `None` selects nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainsFilter {
    /// Id of the actor, or its user.
    pub actor: Option<String>,
    /// A credential's id, path, or one of its identifiers.
    pub credential: Option<String>,
    /// Those that were open at this time or later, ns since 1970.
    pub since_ns: Option<i64>,
    /// Only those with an action outside its purposes.
    pub outside: bool,
    /// Only those in which something was found.
    pub findings: bool,
    /// At most so many; 0: all.
    pub limit: usize,
}

/// A chain, with all the records that are kept of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainHead {
    /// Its id.
    pub id: String,
    /// Its records in their order, gaps that concern it among them.
    pub records: Vec<View>,
}

impl ChainHead {
    pub(super) fn matches(&self, filter: &ChainsFilter) -> bool {
        let since = filter.since_ns.is_none_or(|since| {
            let closed = self.records.iter().rev().find(|view| view.text("status") == Some("closed"));
            closed.and_then(|view| nanoseconds(view.text("time")?)).is_none_or(|end| end >= since)
        });
        let actor = filter.actor.as_deref().is_none_or(|actor| {
            let is = |view: &View, path| view.text(path) == Some(actor);
            self.records.iter().any(|view| is(view, "actor.id") || is(view, "actor.user"))
        });
        let credential = filter.credential.as_deref().is_none_or(|wanted| {
            self.records.iter().any(|view| {
                let lists =
                    ["credential", "summary.credentials", "summary.written"].map(|name| view.list(name));
                lists.into_iter().flatten().any(|credential| names(credential, wanted))
            })
        });
        let outside = !filter.outside
            || self.records.iter().any(|view| {
                view.text("purpose.verdict") == Some("outside")
                    || view.number("summary.purpose.outside").is_some_and(|count| count > 0)
            });
        let found = !filter.findings || self.records.iter().any(|view| view.kind() == "finding");
        since && actor && credential && outside && found
    }
}

fn names(credential: &serde_json::Value, wanted: &str) -> bool {
    let is = |value: &serde_json::Value| value.as_str() == Some(wanted);
    ["id", "path"].into_iter().any(|name| credential.get(name).is_some_and(is))
        || credential
            .get("identifiers")
            .and_then(|all| all.as_object())
            .is_some_and(|all| all.values().any(is))
}
