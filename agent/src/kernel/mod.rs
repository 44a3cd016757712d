//! The kernel border, and the only home of aya: preflight, offsets, probe table, tiers, canary, ring reader, control
//! maps, the start-up scan of `/proc`. Hands out [`crate::event::Event`]s; knows nothing of chains.

mod attach;
pub mod btf;
mod canary;
mod cgroups;
mod control;
mod coverage;
mod loader;
pub mod offsets;
mod pod;
mod preflight;
pub mod probes;
mod ring;
mod seed;
mod watch;

pub use canary::{CANARY_ARGUMENT, child as canary_child};
pub use cgroups::{CgroupError, Cgroups};
pub use control::{Control, Counters, LossWatch};
pub use coverage::{Covered, Evidence, Refusal, SignalCoverage, establish};
pub use loader::{Kernel, LoadError, Options};
pub use preflight::{Host, Lockdown, PreflightError, inspect};
pub use ring::{Feed, Reader, ReaderHandle, boot_ns};
pub use seed::{Scan, seed};
pub use watch::{MountWatch, ScopeWatch};
