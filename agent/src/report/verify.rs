//! What is proven of the evidence.

use std::fmt::Write as _;
use std::path::Path;

use super::words;
use crate::evidence::{Heads, OfHost, Received};
use crate::record::rfc3339;
use crate::store::{Agreed, Verified};

/// What `spoor verify` says of a store, at a time in ns since 1970.
#[must_use]
pub fn verified(directory: &Path, verified: &Verified, now_ns: i64) -> String {
    let Verified { records, first, end, missing, heads, unsigned } = verified;
    let missing = match missing {
        0 => String::new(),
        count => format!(", {count} numbers without a record"),
    };
    let mut text = format!("{}\n", directory.display());
    // Writing to a String does not fail.
    let _ = writeln!(text, "  records   {records}, {first} to {}{missing}: as they were written", end.seq);
    text.push_str(&of_heads(heads, *unsigned, now_ns));
    text
}

fn of_heads(heads: &Heads, unsigned: u64, now_ns: i64) -> String {
    let Some(last) = heads.last() else {
        return "  heads     none: nothing is signed\n".to_owned();
    };
    let ago = words::distance(now_ns.saturating_sub(last.time_ns));
    let mut text = format!(
        "  heads     {}; the last signs for all up to record {}, {} ({ago} ago)\n  unsigned  {unsigned} records after it\n",
        heads.count(),
        last.end.seq,
        rfc3339(last.time_ns),
    );
    for (number, key) in heads.keys().iter().enumerate() {
        let label = if number == 0 { "key" } else { "then" };
        let _ = writeln!(text, "  {label:<8}  {key}");
    }
    text
}

/// What it says of what a receiver has.
#[must_use]
pub fn received(received: &Received, now_ns: i64) -> String {
    let mut text = String::new();
    for host in received.hosts() {
        let OfHost { host, records, first, last, proven, incomplete, missing, unsigned, heads } = host;
        let _ = writeln!(text, "host {host}, as received");
        let _ = writeln!(text, "  records   {records}, {first} to {last}");
        let _ = writeln!(text, "  proven    {proven}: signed for, and as they were written");
        if *incomplete > 0 {
            let _ = writeln!(
                text,
                "  unproven  {incomplete}: {missing} others that were signed for with them are not here"
            );
        }
        text.push_str(&of_heads(heads, *unsigned, now_ns));
    }
    let notes = received.notes().map_or(0, |notes| notes.len());
    if notes > 0 {
        let _ =
            writeln!(text, "{notes} heads in other schemas: name the store that they are to be held against");
    }
    let (repeated, others) = (received.repeated(), received.others());
    let _ = writeln!(text, "{repeated} records came more than once; {others} lines hold no native record");
    text
}

/// What it says of both.
#[must_use]
pub fn agreed(agreed: &Agreed) -> String {
    let Agreed { records, heads, before, elsewhere } = agreed;
    format!(
        "store and receiver agree\n  records   {records} that both have\n  heads     {heads} more that the receiver has in another schema\n  \
         not held  {before} from before what the store keeps, {elsewhere} of other hosts\n",
    )
}
