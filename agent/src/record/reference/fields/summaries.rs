//! Fields that sum a chain up.

use super::kinds::CLOSED;
use super::{Field, field};

pub(super) const SUMMARIES: &[Field] = &[
    field("summary", "object", &[CLOSED], "What the chain held."),
    field(
        "summary.actions",
        "number",
        &[CLOSED],
        "Actions recorded, those that are told together (`count`) one by one.",
    ),
    field(
        "summary.folded",
        "number",
        &[CLOSED],
        "Actions beyond the bounds of a chain (`chain.max_actions`), connections first: counted, not recorded. Where a connection goes that the chain did not reach for before, and what is of credentials, is recorded longer.",
    ),
    field("summary.programs", "number", &[CLOSED], "Programs started."),
    field("summary.processes", "number", &[CLOSED], "Processes that acted."),
    field(
        "summary.credentials",
        "list of objects",
        &[CLOSED],
        "Credentials, each version of them (at most 16), in the order of first use. Fields as of `credential[]`.",
    ),
    field("summary.credentials[]", "object", &[CLOSED], "One credential."),
    field(
        "summary.written",
        "list of objects",
        &[CLOSED],
        "Credentials that were opened only to be written, or that a file was renamed to be, each once, in the order of the first time; as in `secret.write`. Fields as of `credential[]`.",
    ),
    field("summary.written[]", "object", &[CLOSED], "One credential."),
    field(
        "summary.destinations",
        "list of objects",
        &[CLOSED],
        "Destinations, in the order of first attempt.",
    ),
    field("summary.destinations[]", "object", &[CLOSED], "One destination."),
    field("summary.destinations[].ip", "IP address", &[CLOSED], "Address."),
    field("summary.destinations[].cid", "number", &[CLOSED], "Context id, of a `vsock`."),
    field("summary.destinations[].port", "number", &[CLOSED], "Port."),
    field("summary.destinations[].transport", "text", &[CLOSED], "As `destination.transport`."),
    field("summary.destinations[].name", "text", &[CLOSED], "Its name, where one is known."),
    field(
        "summary.destinations[].attempts",
        "number",
        &[CLOSED],
        "Connections asked for, and first datagrams of a process.",
    ),
    field("summary.destinations[].established", "number", &[CLOSED], "Connections there were."),
    field("summary.destinations[].outcome", "as `outcome`", &[CLOSED], "What became of the last."),
    field(
        "summary.fan_out",
        "list",
        &[CLOSED],
        "Which systems were reached, or tried, after each credential: links that are at least fair.",
    ),
    field("summary.fan_out[]", "object", &[CLOSED], "One credential."),
    field("summary.fan_out[].credential", "text", &[CLOSED], "Its id."),
    field(
        "summary.fan_out[].destinations",
        "list",
        &[CLOSED],
        "Places in `summary.destinations`, from 0, in the order of the first connection.",
    ),
    field("summary.fan_out[].destinations[]", "number", &[CLOSED], "One of them."),
    field(
        "summary.executed",
        "list",
        &[CLOSED],
        "Programs started, in the order of their first start; at most 256.",
    ),
    field("summary.executed[]", "object", &[CLOSED], "One program."),
    field("summary.executed[].exe", "path", &[CLOSED], "Its path."),
    field("summary.executed[].count", "number", &[CLOSED], "How often."),
    field(
        "summary.retries",
        "number",
        &[CLOSED],
        "Connections that were tried again after they failed, where there are any.",
    ),
    field(
        "summary.gaps",
        "list",
        &[CLOSED],
        "What may be missing from the chain. Empty: nothing that the agent knows of.",
    ),
    field("summary.gaps[]", "kind of gap", &[CLOSED], "As `kind` of a gap."),
];
