//! The bytes that cross spoor's kernel border.
//!
//! Two compilers build this crate, one for the BPF target and one for the host, so it keeps to what both promise to lay
//! out alike: `repr(C)`, fixed-width integers, byte arrays, explicit padding. No `bool`, no enum inside a struct, no
//! `usize`, no reference, no features, no `cfg` (but for tests). Layout is asserted where it is declared.
//!
//! Bytes become a type only through [`decode::RawEvent::decode`], which fails on anything it does not know and never
//! panics. What probes and agent both compute ([`rule`]: name hashing; [`body::Span`]) lives here, so that the code that
//! runs in the kernel is the code that is tested on the host.
//!
//! Numbers are a contract: a [`Kind`], [`Source`], [`Fault`] or flag never changes its value.
#![no_std]
#![forbid(unsafe_code)]

pub mod body;
pub mod control;
pub mod decode;
pub mod fault;
pub mod header;
pub mod rule;
pub mod source;

pub use body::{
    Accept, AcceptEnd, Connect, ConnectEnd, Exec, ExecFailed, Exit, Fork, Identity, Ids, Key, Memory, Open,
    Payload, Send, Span,
};
pub use control::{Mark, Offsets, Settings};
pub use decode::{DecodeError, RawBody, RawEvent};
pub use fault::Fault;
pub use header::{Header, Kind, Lane, Task};
pub use source::Source;
