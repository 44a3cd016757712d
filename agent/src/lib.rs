//! spoor: the daemon and the command line.
//!
//! Data goes one way, and each module imports only from those below it:
//!
//! ```text
//! main, cli, app  >  pipeline, forward, report  >  store  >  record  >  chain  >  action
//!   >  actor, credential  >  lineage  >  event  >  spoor-wire        (kernel beside lineage, over event)
//! ```
//!
//! `config` and `telemetry` are the ground everybody may stand on. `event`, `lineage`, `action` and `chain` do no I/O and
//! read no clock: time comes in events, so a recorded stream replays to the same chains. `docs/ARCHITECTURE.md` follows
//! one event through the files; `cargo xtask check` holds the import rules.
#![deny(unsafe_code)]

pub mod action;
pub mod actor;
pub mod app;
pub mod chain;
pub mod cli;
pub mod config;
pub mod credential;
pub mod event;
pub mod forward;
pub mod kernel;
pub mod lineage;
pub mod names;
pub mod pipeline;
pub mod record;
pub mod report;
pub mod store;
pub mod telemetry;
