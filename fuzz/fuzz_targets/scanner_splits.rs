//! Any stream, in any pieces, with any stops: the frame scanner agrees with the stream read whole.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lubdub_wire::check::scanner_splits(data));
