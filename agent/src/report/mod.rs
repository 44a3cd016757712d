//! `report`: what a person reads of the store. Mutates nothing.
//!
//! Times are UTC, as in the records; within a chain they are distances from its beginning. A gap is told before anything
//! that it puts in doubt.

mod deeds;
mod inventory;
mod list;
mod live;
mod show;
mod style;
#[cfg(test)]
mod tests;
mod timeline;
mod tree;
mod words;

pub use inventory::{Of, inventory, inventory_json};
pub use list::chains;
pub use live::live_line;
pub use show::{Format, ReportError, show};
pub use style::Style;
