//! The head of a chain of records: what is signed every few minutes.

use super::note::{Note, PublicKey};
use crate::hex;
use crate::record::{Hash, NONE, nanoseconds, next_hash, rfc3339, unhex};

/// The first line of what is signed: which rules it follows.
pub(super) const TITLE: &str = "spoor head v1";

/// A record's place in the chain: its number and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number; 0 before the first.
    pub seq: u64,
    /// The hash over it and all before it.
    pub hash: Hash,
}

impl Mark {
    /// Before the first record of all.
    pub const NONE: Mark = Mark { seq: 0, hash: NONE };

    /// The mark of a record that comes after this one.
    #[must_use]
    pub(crate) fn then(&self, seq: u64, body: &[u8]) -> Self {
        Mark { seq, hash: next_hash(&self.hash, body) }
    }
}

/// What the agent says by signing: these were the records of this host up to then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// `host.id` of the records.
    pub host: String,
    /// The last record.
    pub end: Mark,
    /// The last record of the head before.
    pub since: Mark,
    /// How many there are between; numbers may be missing among them.
    pub records: u64,
    /// When it was signed, ns since 1970.
    pub time_ns: i64,
    /// The key that signs after this head.
    pub next: Option<PublicKey>,
}

impl Head {
    /// What is signed: a line each.
    pub(super) fn text(&self) -> String {
        let Head { host, end, since, records, time_ns, next } = self;
        let next = next.as_ref().map(|key| format!("next {key}\n")).unwrap_or_default();
        format!(
            "{TITLE}\nhost {host}\nseq {}\nhash {}\nsince {} {}\nrecords {records}\ntime {}\n{next}",
            end.seq,
            hex::encode(&end.hash),
            since.seq,
            hex::encode(&since.hash),
            rfc3339(*time_ns),
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        (lines.next()? == TITLE).then_some(())?;
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let host = value("host")?.to_owned();
        let seq = value("seq")?.parse().ok()?;
        let hash = unhex(value("hash")?)?;
        let (since, before) = value("since")?.split_once(' ')?;
        let since = Mark { seq: since.parse().ok()?, hash: unhex(before)? };
        let records = value("records")?.parse().ok()?;
        let time_ns = nanoseconds(value("time")?)?;
        let next = match lines.next() {
            None => None,
            Some(line) => Some(PublicKey::parse(line.strip_prefix("next ")?).ok()?),
        };
        let head = Self { host, end: Mark { seq, hash }, since, records, time_ns, next };
        // One head has one text.
        (lines.next().is_none() && head.text() == text).then_some(head)
    }
}

/// A head as it was signed. Whether by whom it should be is for [`super::Trust`] to say.
#[derive(Clone, Debug)]
pub struct SignedHead<'a> {
    /// What it says.
    pub head: Head,
    pub(super) note: Note<'a>,
}

impl<'a> SignedHead<'a> {
    /// Reads a note. `None`: it is no head, signed or not.
    #[must_use]
    pub fn parse(note: &'a str) -> Option<Self> {
        let note = Note::parse(note)?;
        Some(Self { head: Head::parse(note.text)?, note })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_one_text() {
        let end = Mark::NONE.then(7, b"{}");
        let next = PublicKey::parse("x+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").ok();
        assert!(next.is_none(), "of another name");
        let next = PublicKey::parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
            .unwrap();
        for next in [None, Some(next)] {
            let time_ns = 1_767_312_000_000_000_001;
            let head = Head { host: "3f".into(), end, since: Mark::NONE, records: 7, time_ns, next };
            let text = head.text();
            assert_eq!(Head::parse(&text), Some(head));
            for other in [
                text.replace("seq 7", "seq 07"),
                text.replace("spoor head v1", "spoor head v2"),
                text.replace("host 3f", "host 3f\nhost 4f"),
                text.replace("records 7\n", ""),
                text.replace(".000000001Z", ".0000000010Z"),
                format!("{text}more 1\n"),
                text.trim_end().to_owned(),
            ] {
                assert_eq!(Head::parse(&other), None, "{other}");
            }
        }
    }
}
