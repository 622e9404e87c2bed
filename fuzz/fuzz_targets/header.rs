//! Any bytes: the header decoder agrees with an independent reading of RFC 6455 section 5.2.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_wire::check::header(data));
