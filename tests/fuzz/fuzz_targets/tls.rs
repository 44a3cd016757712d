//! The first bytes of a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spoor_fuzz::tls(data));
