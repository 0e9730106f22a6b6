#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| intermud3_fuzz::oob(data));
