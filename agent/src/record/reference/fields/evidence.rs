//! Fields by which records prove each other.

use super::kinds::{ALL, HEADS};
use super::{Field, field};

pub(super) const EVIDENCE: &[Field] = &[
    field("head", "object", HEADS, "Where the chain of records stands, signed. `spoor verify` reads it."),
    field("head.seq", "seq", HEADS, "The last record that it signs for, with all before it."),
    field("head.hash", "64 hexadecimal digits", HEADS, "The hash of that record."),
    field(
        "head.key",
        "text",
        HEADS,
        "The key that signed, as a verifier key of C2SP signed notes: `NAME+HASH+KEY`.",
    ),
    field(
        "head.note",
        "text",
        HEADS,
        "What is signed, and the signature: a C2SP signed note. Its lines are host, number and hash, number and hash of the head before, how many records lie between, time, and the key that comes next, where it changes.",
    ),
    field(
        "prev",
        "64 hexadecimal digits",
        ALL,
        "The hash of the record before, over its bytes and its own `prev`; zeros before the first. Last in every record.",
    ),
];
