//! What somebody says that a receiver has.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spoor_fuzz::evidence(data));
