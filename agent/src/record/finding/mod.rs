//! Findings to records, and back: a later life of the agent does not tell anew what this one told.

mod recall;
mod shape;

use super::build::{Builder, bytes, record};
use super::parts::actor_shape;
use super::shape::Pairs;
use super::{Record, RecordType, VERSION, rfc3339};
use crate::action::ActionId;
use crate::finding::Finding;
pub use recall::recall as recall_finding;
use shape::{FindingShape, TagsShape};

impl Builder {
    /// The record of a finding.
    pub fn finding(&mut self, finding: &Finding) -> Record {
        let (seq, time_ns) = self.head(finding.time_ns);
        let chain = finding.chain.to_string();
        let credentials: Vec<_> = finding.credential.iter().map(|known| self.credential(known)).collect();
        let tags = finding.kind.tags();
        let body = bytes(&FindingShape {
            v: VERSION,
            seq,
            time: rfc3339(time_ns),
            r#type: RecordType::Finding.name(),
            finding_id: finding.id.to_string(),
            told: if finding.again { "again" } else { "first" },
            kind: finding.kind.name(),
            severity: finding.severity.name(),
            reason: &finding.reason,
            host: self.host_part.clone(),
            chain: &chain,
            run: finding.run.to_string(),
            actor: actor_shape(&finding.actor),
            last_program: (!finding.program.is_empty()).then(|| (self.redaction.printable)(&finding.program)),
            credential: credentials,
            subject: &finding.subject,
            facts: Pairs(finding.facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()),
            actions: finding.actions.iter().filter_map(|action| self.seq_of(*action)).collect(),
            first: rfc3339(finding.first_ns),
            last: rfc3339(finding.last_ns),
            count: finding.count,
            folded: finding.folded,
            tags: TagsShape {
                owasp_nhi: tags.owasp_nhi,
                attack: tags.attack,
                nist_csf: tags.nist_csf,
                sp_800_207: tags.sp_800_207,
            },
        });
        record(seq, time_ns, RecordType::Finding, Some(chain), body)
    }

    /// The record of an action: of the latest one, and of those that are remembered.
    fn seq_of(&self, action: ActionId) -> Option<u64> {
        let (latest, seq) = self.latest?;
        if latest == action { Some(seq) } else { self.seqs.get(&action).copied() }
    }
}
