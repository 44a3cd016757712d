//! spoor: the daemon and the command line.
//!
//! Data goes one way, and each module imports only from those below it:
//!
//! ```text
//! main, cli, app  >  pipeline, forward, report  >  store  >  evidence  >  record  >  finding  >  inventory  >  chain  >  action
//!   >  actor, credential  >  lineage  >  event  >  spoor-wire        (kernel and names beside lineage, over event)
//! ```
//!
//! `capture` keeps what enters the pipeline, beside `store`, so that it can be replayed. `status` is what the agent says of itself while it runs. `config`, `hex`, `keyfile` and `telemetry` are the ground everybody may stand on. `event`, `lineage`, `names`, `action`, `purpose`,
//! `chain`, `inventory` and `finding` do no I/O and read no clock: time comes in events, so a recorded stream replays to the same chains.
//! `docs/ARCHITECTURE.md` follows one event through the files; `cargo xtask check` holds the import rules.
#![deny(unsafe_code)]

pub mod action;
pub mod actor;
pub mod app;
pub mod capture;
pub mod chain;
pub mod cli;
pub mod config;
pub mod credential;
pub mod event;
pub mod evidence;
pub mod finding;
pub mod forward;
mod hex;
pub mod inventory;
pub mod kernel;
pub mod keyfile;
pub mod lineage;
pub mod names;
pub mod pipeline;
pub mod purpose;
pub mod record;
pub mod report;
pub mod schema;
pub mod status;
pub mod store;
pub mod telemetry;
mod varint;
