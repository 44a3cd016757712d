//! The hooks. Each file states the kernel's side of its contract: attach point, arguments, since when.

mod accept;
mod connect;
mod connect_end;
mod exec;
mod exit;
mod fork;
mod open;
mod packets;
mod send;
