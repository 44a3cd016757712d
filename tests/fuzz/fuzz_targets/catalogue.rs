//! One's own catalogue of credentials.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spoor_fuzz::catalogue(data));
