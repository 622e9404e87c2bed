//! Any bytes: a PROXY header of version 1 is decided in the same way however it comes, and is read again as it is written.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_wire::check::proxy_v1(data));
