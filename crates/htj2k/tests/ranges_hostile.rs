//! Headers with bytes changed: what is told of ranges is bounded and within the codestream, and what is decoded from them is what the
//! plain decoder gives.

#[path = "../fuzz/src/checks.rs"]
#[allow(dead_code)]
mod checks;

use std::fs;
use std::path::Path;

use htj2k::{EncodeOptions, Encoder, Image, Progression, Samples, TileParts};

/// Streams that are like the server's, and those of the fuzzer.
fn streams() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "j2c"));
    files.sort();
    let mut streams: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    for (components, tile_parts, progression, plt) in [
        (1, TileParts::ByResolution, Progression::Rpcl, false),
        (3, TileParts::ByResolution, Progression::Rpcl, true),
        (2, TileParts::One, Progression::Lrcp, false),
    ] {
        let (width, height, stride) = (200, 150, 200 * components as usize);
        let samples: Vec<u8> = (0..stride * 150).map(|n| (n / 9 + n % 13 * (n / 4000)) as u8).collect();
        let samples = Samples::U8(&samples);
        let image = Image { width, height, components, precision: 8, signed: false, stride, samples };
        let options = EncodeOptions { tile_parts, progression, plt, block: (4, 4), ..EncodeOptions::default() };
        let mut stream = Vec::new();
        Encoder::new().encode(&image, &options, &mut stream).unwrap();
        streams.push(stream);
    }
    streams
}

#[test]
fn changed_headers_break_nothing() {
    let mut state = 1u64;
    let mut random = |most: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % most
    };
    let (mut count, mut told) = (0, 0);
    for bytes in streams() {
        checks::ranges(&bytes);
        for round in 0..100 {
            let mut changed = bytes.clone();
            for _ in 0..1 + random(3) {
                // The main header, the first packets, or anywhere.
                let at = random([200, 1000, usize::MAX][round % 3].min(changed.len()));
                changed[at] = if random(2) == 0 { random(256) as u8 } else { changed[at] ^ 1 << random(8) };
            }
            told += checks::ranges(&changed) as u32;
            count += 1;
        }
    }
    println!("ranges were told of {told} of {count} streams");
    assert!(count > 1000 && told > 100, "of {count} streams, {told} were told of");
}
