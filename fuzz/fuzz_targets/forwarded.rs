//! Any bytes: whatever stands in a forwarded field, what is written behind it is read first.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_wire::check::forwarded(data));
