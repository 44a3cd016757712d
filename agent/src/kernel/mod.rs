//! The kernel border, and the only home of aya: preflight, offsets, probe table, tiers, canary, ring reader, control
//! maps, the start-up scan of `/proc`. Hands out [`crate::event::Event`]s; knows nothing of chains.

mod attach;
pub mod btf;
mod canary;
mod cgroups;
mod control;
mod counters;
mod coverage;
mod facts;
mod keys;
mod lapse;
mod loader;
pub mod offsets;
mod order;
mod others;
mod pace;
mod parallel;
mod passed;
mod patrol;
mod pod;
mod positions;
mod preemption;
mod preflight;
pub mod privileges;
pub mod probes;
mod ring;
mod seed;
mod shares;
mod sieve;
mod watch;

pub use canary::{CANARY_ARGUMENT, child as canary_child};
pub use cgroups::{CgroupError, Cgroups};
pub use control::Control;
pub use counters::{Counters, LossWatch};
pub use coverage::{Covered, Evidence, Proof, Refusal, SignalCoverage, establish};
pub use facts::{AuditSocket, BUILD_OPTIONS, CAPABILITIES, Capability, CgroupMode, Facts, Switches};
pub use loader::{Kernel, LoadError, Options};
pub use order::Order;
pub use others::{OtherProgram, Others};
pub use pace::Pace;
pub use passed::{MissWatch, Passed};
pub use patrol::{Landed, Patrol};
pub use preflight::{Host, Lockdown, PreflightError, boot_id, inspect};
pub use ring::{Feed, Reader, ReaderHandle, boot_ns};
pub use seed::{Scan, Wanted, process_key, seed};
pub use watch::{MountWatch, ScopeWatch};
