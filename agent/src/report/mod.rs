//! `report`: what a person reads of the store. Mutates nothing.
//!
//! Times are UTC, as in the records; within a chain they are distances from its beginning. A gap is told before anything
//! that it puts in doubt.

mod chain;
mod deeds;
mod findings;
mod graph;
mod inventory;
mod list;
mod live;
mod page;
mod purposes;
mod show;
mod sinks;
mod status;
mod style;
#[cfg(test)]
mod tests;
mod timeline;
mod tree;
mod verify;
pub mod watch;
mod words;

pub use findings::{FindingsFilter, findings, findings_json};
pub use inventory::{AuditFormat, Of, Query, audit, inventory, inventory_json, remark};
pub use list::chains;
pub use live::live_line;
pub use page::{Asked, Day, POLICY, Place, SINCE, day, index};
pub use purposes::{Window, learn, rejudge};
pub use show::{Format, ReportError, show};
pub use sinks::Standing;
pub use status::status;
pub use style::Style;
pub use verify::{agreed, received, verified};
