//! Any bytes: the same of version 2.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_wire::check::proxy_v2(data));
