//! `forward`: sinks. What is stored is what is forwarded: each sink reads the store at its own pace from its own cursor,
//! so that a slow one holds up nobody and one that was away misses nothing that is kept.
//!
//! At least once, in order. After an orderly stop nothing comes twice; after a crash, what came since the cursor was
//! last written does, and `host.id` with `seq` tells. A sink that fell behind what retention has dropped goes on with the oldest
//! record there is; the gap record of the dropped file comes to it like any other.
//!
//! What a receiver refuses for good is set aside in the store's state, counted and listed (`spoor sinks`), and the sink goes on.
//! What fails for any other reason is tried again, ever more slowly. docs/SINKS.md tells the rules of each receiver.

mod connection;
mod deliver;
mod encodings;
mod facts;
mod file;
mod http;
mod kafka;
mod portion;
mod sink;
mod stdout;
mod stop;
mod syslog;
#[cfg(test)]
mod tests;
mod ways;

pub use encodings::{Encodings, Filters};
pub use sink::{Around, Sink, SinkEnd, SinkError};
pub use stop::Stop;
