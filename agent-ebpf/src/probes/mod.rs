//! The hooks. Each file states the kernel's side of its contract: attach point, arguments, since when.

mod accept;
mod connect;
mod connect_end;
mod exec;
mod exec_failed;
mod exit;
mod fork;
mod identity;
mod keys;
mod memory;
mod open;
mod packets;
mod reading;
mod receive;
mod rename;
mod returns;
mod send;
mod unix;
