//! docs/SCHEMAS.md, from the table that the tests hold against the encoders.

use std::fmt::Write as _;

use super::cef::NAMES;
use super::table::{TABLE, Where};

const HEAD: &str = "\
# Schemas

Generated from the table in `agent/src/schema/table.rs`, which tests hold against the records and against the encoders. Do not edit.

A sink sends records in the schema that its `format` names. Every schema is made from the same stored record, and none leaves anything
out: what it has no place for goes along in its own shape, in OCSF below `unmapped`, in ECS below `spoor`, in OpenTelemetry
as attributes that begin with `spoor.`, in CEF and LEEF as JSON in the one value `spoor`. Fields and types that are younger than the
encoder go there too. A row holds for everything below its field that has no row of its own.

| `format` | what it is |
|---|---|
| `native` | spoor's own records, [RECORDS.md](RECORDS.md) |
| `ocsf` | Open Cybersecurity Schema Framework 1.8.0, or 1.3.0 or 1.1.0 (`ocsf_version`): what the older ones do not know moves to `unmapped`. Openings, writings, readings and receptions are File System Activity (1001); `exec`, `exec.failed`, `exit`, `cred.change` and `memory.access` Process Activity (1007); `connect`, `send` and `accept` Network Activity (4001); findings Detection Finding (2004); `gap`, `coverage` and `heartbeat` Application Lifecycle (6002); chains and everything else Base Event (0). Tests hold each event against the schema's own definitions |
| `ecs` | Elastic Common Schema 9.4. Map `spoor` as `flattened`, since `attempt.of` is a number here and a text there |
| `otel` | log records of OpenTelemetry, in the JSON of OTLP, or as its messages (`otlp` with `protocol`). `trace_id` is the chain |
| `cef`, `leef` | Common Event Format 0, Log Event Extended Format 2.0 with a tab between pairs |

`time` has milliseconds in OCSF and CEF; all nine digits stand in `metadata.original_time` and in `spoor`. The id of an event
(`metadata.uid`, `event.id`, `log.record.uid`, `externalId`) is host id and number: the same for the same record, in every schema, whenever it is
sent.
";

/// docs/SCHEMAS.md.
#[must_use]
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| field | OCSF | ECS | OpenTelemetry | CEF | LEEF |\n|---|---|---|---|---|---|\n");
    for row in TABLE {
        let line = NAMES.iter().find(|name| name.path() == row.path);
        let name = |name: Option<&str>| name.map_or("`spoor`".to_owned(), |name| format!("`{name}`"));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            row.path,
            place(&row.ocsf, "unmapped"),
            place(&row.ecs, "spoor"),
            place(&row.otel, "spoor.*"),
            name(line.map(|name| name.cef)),
            name(line.map(|name| name.leef)),
        );
    }
    text
}

fn place(place: &Where, rest: &str) -> String {
    match place {
        Where::At(places) => places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(" or "),
        Where::Rest => format!("`{rest}`"),
    }
}
