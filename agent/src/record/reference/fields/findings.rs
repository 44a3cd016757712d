//! Fields of findings.

use super::kinds::{FINDING, FOUND, INVENTORY};
use super::{Field, field};

pub(super) const FINDINGS: &[Field] = &[
    field(
        "finding_id",
        "ULID",
        FOUND,
        "The finding: the same in all that is told of it. Of several records the latest holds.",
    ),
    field(
        "told",
        "`first`, `again`",
        FOUND,
        "Whether it is new, or goes on: that is told at most once an hour, at the end of a chain, or when it grew graver.",
    ),
    field(
        "severity",
        "`informational`, `low`, `medium`, `high`, `critical`",
        FOUND,
        "How far it is from what is usual.",
    ),
    field(
        "subject",
        "text",
        FOUND,
        "What else tells it from others of its kind: a person, a program, a purpose, another credential.",
    ),
    field("facts", "object", FOUND, "What it rests on."),
    field("facts.*", "text", FOUND, "By name; which there are hangs on the kind."),
    field(
        "actions",
        "list of seq",
        FOUND,
        "Records of actions that show it, and of openings that these came after; the latest 16 at most. More stand in the chain.",
    ),
    field("actions[]", "seq", FOUND, "One of them."),
    field(
        "folded",
        "number",
        FOUND,
        "Others of the same kind and actor on that day that are only counted here. Absent: none.",
    ),
    field("tags", "object", FOUND, "What its kind is called elsewhere."),
    field("tags.owasp_nhi", "list of text", FOUND, "OWASP Non-Human Identities Top 10, 2025."),
    field("tags.owasp_nhi[]", "text", FOUND, "One id."),
    field("tags.attack", "list of text", FOUND, "MITRE ATT&CK for enterprises, techniques."),
    field("tags.attack[]", "text", FOUND, "One id; names are those of version 19."),
    field("tags.nist_csf", "list of text", FOUND, "NIST Cybersecurity Framework 2.0, subcategories."),
    field("tags.nist_csf[]", "text", FOUND, "One id."),
    field("tags.sp_800_207", "list of text", FOUND, "NIST SP 800-207, section 2.1, tenets of zero trust."),
    field("tags.sp_800_207[]", "text", FOUND, "One number."),
    field(
        "first",
        "time",
        &[FINDING, INVENTORY],
        "When the actor acted, or the credential was used, for the first time: held by somebody who acted. Of a finding, when it was noticed first.",
    ),
    field(
        "last",
        "time",
        &[FINDING, INVENTORY],
        "When for the last time. Absent of a credential: it was not seen to be used.",
    ),
    field(
        "last_program",
        "text",
        &[FINDING, INVENTORY],
        "The program that acted last; of a script, the script.",
    ),
    field(
        "learning_until",
        "time",
        &["heartbeat"],
        "Until then findings judge nothing by habit, since none is known for long enough. Absent: that is over.",
    ),
];
