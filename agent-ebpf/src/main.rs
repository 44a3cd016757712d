//! spoor's probes: hooks, maps, bounded reads. No policy.
//!
//! One shape throughout: an attach function of a few lines, a `try_` function with `?`, one place that counts what
//! failed. Nothing here returns anything to the kernel that could change what it does.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![cfg_attr(
    any(
        feature = "without-batching",
        feature = "without-filter",
        feature = "without-sieve",
        feature = "without-lanes",
        feature = "without-told-once"
    ),
    allow(unused, unreachable_code, reason = "what a technique takes that is left out")
)]
#![expect(unsafe_code, reason = "probes read kernel memory; each block says why it may")]
#![expect(unreachable_pub, reason = "a program has no outside; `pub` says what other modules use")]
#![expect(clippy::cast_possible_truncation, reason = "cast values are bounded; checks are branches")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a field's address and its use are one act")]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros hand the context over by value")]

mod again;
mod count;
mod emit;
mod file;
mod gate;
mod maps;
mod matcher;
mod names;
mod probes;
mod read;
mod share;
mod sieve;
mod syscall;
mod task;
mod touch;

/// What the kernel asks of programs that use its GPL-only helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// A panic here must be a verifier rejection, not undefined behaviour: an endless loop is one.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
