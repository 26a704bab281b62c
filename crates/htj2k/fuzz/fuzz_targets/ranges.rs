#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    htj2k_fuzz::checks::ranges(data);
});
