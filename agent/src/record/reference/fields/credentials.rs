//! Fields that tell what is usual for a credential, by its kind.

use super::{Field, IDENTIFIED, field};

/// Of each credential, behind what tells which one it is.
pub(super) const CREDENTIALS: &[Field] = &[
    field(
        "credential[].expires",
        "time",
        IDENTIFIED,
        "When it ends by its own word: of certificates, tokens and tickets; the first of several.",
    ),
    field(
        "credential[].issuer",
        "text",
        IDENTIFIED,
        "Who issues such credentials: `aws`, `kubernetes`, …; `self`: whoever runs the host; `any`: such a file may hold anybody's.",
    ),
    field(
        "credential[].destinations",
        "list",
        IDENTIFIED,
        "Where credentials of this kind are expected to be used, whatever this one says.",
    ),
    field(
        "credential[].destinations[]",
        "`HOST:PORT`",
        IDENTIFIED,
        "E.g. `*.amazonaws.com:443`; `*:22`: any host.",
    ),
    field(
        "credential[].lifetime",
        "`long-lived`, `short-lived`, `rotated`",
        IDENTIFIED,
        "How long such credentials live: until somebody replaces them; hours or days; until something replaces them in time.",
    ),
    field(
        "credential[].max_age_s",
        "number",
        IDENTIFIED,
        "The age, in seconds, at which such a credential should have been replaced.",
    ),
    field(
        "credential[].human_use",
        "`finding`",
        IDENTIFIED,
        "A finding is due when a person opens such a credential: it is a service's. Absent: people may.",
    ),
];
