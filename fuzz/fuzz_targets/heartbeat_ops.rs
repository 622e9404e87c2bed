//! Any operations in any order, while time goes by: the heartbeat machine keeps its bounds.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_keepalive::check::heartbeat_ops(data));
