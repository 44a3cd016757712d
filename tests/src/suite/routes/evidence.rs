//! What the agent wrote down, and the questions that many routes ask of it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Verdict;
use super::ground::Ground;
use crate::records::{at, last_heartbeat, text};

/// Lines about a route that failed.
const LEFT_MAX: usize = 40;

/// Every record of the agent.
pub(super) struct Evidence<'a> {
    pub(super) records: &'a [Value],
}

impl<'a> Evidence<'a> {
    /// The actions of one kind by a program of a route: `` took it, `-twin` is its twin.
    pub(super) fn actions(&self, ground: &Ground<'_>, suffix: &str, action: &str) -> Vec<&'a Value> {
        let of = self.records.iter().filter(|record| ground.is_program(suffix, record));
        of.filter(|record| text(record, "action") == action).collect()
    }

    /// The chain in which the route's program acted.
    pub(super) fn chain(&self, ground: &Ground<'_>) -> Result<&'a str> {
        let found = self.records.iter().find(|record| ground.is_program("", record));
        found.map(|record| text(record, "chain")).with_context(|| format!("no record of {}", ground.exe("")))
    }

    /// What there is all the same of a route that was not seen as declared: its program's records in short, gaps, and what the
    /// agent counted that it should not have to.
    pub(super) fn left_by(&self, ground: &Ground<'_>) -> String {
        let acts = self.records.iter().filter(|record| ground.is_program("", record));
        let acts = acts
            .map(|act| format!("  it left {} of process {}", text(act, "action"), at(act, "process.pid")));
        let gaps = self.records.iter().filter(|record| text(record, "type") == "gap");
        let gaps = gaps.map(|gap| format!("  gap {}: {}", text(gap, "kind"), at(gap, "counts")));
        let last = last_heartbeat(self.records);
        let counters = last.and_then(|last| at(last, "counters").as_object()).into_iter().flatten();
        let counters = counters.filter(|(name, count)| {
            let odd = ["probe_", "fault", "lost", "dropped", "passed", "refused", "unread"];
            count.as_u64() != Some(0) && odd.iter().any(|part| name.contains(part))
        });
        let counters = counters.map(|(name, count)| format!("  {name} {count}"));
        acts.chain(gaps).chain(counters).take(LEFT_MAX).collect::<Vec<_>>().join("\n")
    }

    /// The twin did nothing that is worth a record.
    pub(super) fn twin_is_silent(&self, ground: &Ground<'_>) -> Result<()> {
        self.silent(ground, "-twin")
    }

    /// A program of the route did nothing that is worth a record.
    pub(super) fn silent(&self, ground: &Ground<'_>, suffix: &str) -> Result<()> {
        let found = self.records.iter().find(|record| ground.is_program(suffix, record));
        ensure!(found.is_none(), "the innocent {} left a record: {found:?}", ground.exe(suffix));
        Ok(())
    }

    /// The verdict on the one record in which a route should show: seen if nothing is said against it.
    pub(super) fn one(found: &[&Value], wanting: impl Fn(&Value) -> Option<String>) -> Result<Verdict> {
        match found {
            [] => Ok(Verdict::NotSeen),
            [one] => Ok(wanting(one).map_or(Verdict::Seen, Verdict::Partial)),
            many => {
                let shown: String = many.iter().map(|record| format!("\n  {record}")).collect();
                Err(anyhow::anyhow!("one act, told {} times:{shown}", many.len()))
            }
        }
    }
}

/// The route's program opened its credential, once and under the credential's own name; its twin opened none.
pub(super) fn opened(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.open"), |open| {
        let path = text(open, "file.path");
        (path != ground.secret()).then(|| format!("the path is told as {path}"))
    })
}
