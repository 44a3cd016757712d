//! `forward`: sinks. What is stored is what is forwarded: each sink reads the store at its own pace from its own cursor,
//! so that a slow one holds up nobody and one that was away misses nothing that is kept.
//!
//! At least once, in order. After an orderly stop nothing comes twice; after a crash, what came since the cursor was
//! last written does, and `host.id` with `seq` tells. A sink that fell behind what retention has dropped goes on with the oldest
//! record there is; the gap record of the dropped file comes to it like any other.

mod file;
mod sink;
mod stdout;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use sink::{Sink, SinkEnd, SinkError};

/// A sink as the config names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkSpec {
    /// Its name, under which the store keeps its cursor.
    pub name: String,
    /// Where to.
    pub target: Target,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Lines to standard output.
    Stdout,
    /// Lines to the end of a file, which may be rotated away at any time.
    File {
        /// Where it lies.
        path: PathBuf,
    },
}
