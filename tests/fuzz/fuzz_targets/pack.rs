//! What a pack of the store holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spoor_fuzz::pack(data));
