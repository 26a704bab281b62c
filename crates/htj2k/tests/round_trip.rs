//! What is encoded is decoded: every size, depth, sign, number of levels and layout.

use htj2k::{
    Decoder, EncodeOptions, Encoder, Header, Image, Index, Precincts, Progression, Samples, SamplesMut, TileParts,
    Transform,
};

/// Samples of a precision, smooth with noise, so that every kind of code-block occurs.
fn picture(width: usize, height: usize, components: usize, precision: u8, signed: bool) -> Vec<i32> {
    let range = 1i64 << precision;
    let mut state = 0x1234_5678_9abc_def0u64 ^ (width as u64) << 32 ^ height as u64;
    let mut noise = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as i64
    };
    let mut samples = Vec::with_capacity(width * height * components);
    for y in 0..height {
        for x in 0..width {
            for c in 0..components {
                let smooth = range / 2 + (x as i64 * 3 + y as i64 * 5 + c as i64 * 11) * range / 4096;
                let flat = (x / 40 + y / 40) % 3 == 0;
                let grain = if flat { 0 } else { noise() % (range / 16 + 2) };
                let extreme = if (x + 3 * y) % 97 == 5 { noise() } else { 0 };
                let v = (smooth + grain + extreme).rem_euclid(range);
                samples.push(if signed { v - range / 2 } else { v } as i32);
            }
        }
    }
    samples
}

fn image(samples: &[i32], width: usize, height: usize, components: usize, precision: u8, signed: bool) -> Image<'_> {
    Image {
        width: width as u32,
        height: height as u32,
        components: components as u16,
        precision,
        signed,
        stride: width * components,
        samples: Samples::I32(samples),
    }
}

/// Encodes, decodes at every level, from the whole and from the prefix, and compares.
fn check(image: &Image<'_>, options: &EncodeOptions) {
    let what = format!(
        "{}x{}x{} {} bits signed {} {options:?}",
        image.width, image.height, image.components, image.precision, image.signed
    );
    let Samples::I32(samples) = image.samples else { unreachable!() };
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut stream = vec![7; 3];
    let levels = encoder.encode(image, options, &mut stream).unwrap_or_else(|e| panic!("{what}: {e}"));
    let stream = &stream[3..];
    let mut out = vec![0; samples.len()];
    let decoded =
        decoder.decode(stream, 0, SamplesMut::I32(&mut out), image.stride).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(decoded.complete, "{what}");
    assert_eq!(decoded.need, Some(stream.len() as u64), "{what}");
    assert!(out == samples, "{what}");

    let index = Index::read(stream, &Default::default()).unwrap();
    assert!(index.complete, "{what}");
    assert_eq!(index.levels, levels.iter().map(|l| htj2k::Level { crc32: None, ..*l }).collect::<Vec<_>>(), "{what}");
    let header = Header::parse(stream, &Default::default()).unwrap();
    let mut whole = vec![0; samples.len()];
    let mut part = vec![0; samples.len()];
    for level in &levels {
        assert_eq!(header.size_at(level.level), (level.width, level.height));
        let stride = level.width as usize * image.components as usize;
        let d = decoder.decode(stream, level.level, SamplesMut::I32(&mut whole), stride).unwrap();
        assert_eq!((d.complete, d.need), (true, Some(level.end)), "{what} level {}", level.level);
        let prefix = &stream[..level.end as usize];
        let d = decoder.decode(prefix, level.level, SamplesMut::I32(&mut part), stride).unwrap();
        assert!(d.complete, "{what} level {}", level.level);
        let count = stride * level.height as usize;
        assert!(whole[..count] == part[..count], "{what} level {}", level.level);
        if level.level > 0 || level.end > 2 {
            let short = &stream[..level.end as usize - 3];
            let d = decoder.decode(short, level.level, SamplesMut::I32(&mut part), stride);
            assert!(d.is_err() || !d.unwrap().complete || level.level == 0, "{what} level {}", level.level);
        }
    }
}

#[test]
fn every_size_and_number_of_levels() {
    for (w, h) in [(1, 1), (1, 2), (2, 1), (3, 3), (1, 17), (17, 1), (5, 64), (64, 64), (65, 63), (129, 70), (200, 333)]
    {
        for levels in [0, 1, 2, 3, 5, 8, 32] {
            let samples = picture(w, h, 1, 12, false);
            let options = EncodeOptions { decompositions: Some(levels), ..Default::default() };
            check(&image(&samples, w, h, 1, 12, false), &options);
        }
    }
    for (w, h) in [(17, 4099), (4099, 17), (1000, 700)] {
        let samples = picture(w, h, 1, 16, false);
        check(&image(&samples, w, h, 1, 16, false), &EncodeOptions::default());
    }
}

#[test]
fn every_depth_and_sign() {
    for precision in 1..=31 {
        for (components, signed) in [(1, false), (1, true), (3, false), (3, true), (2, false), (4, true)] {
            let samples = picture(70, 45, components, precision, signed);
            check(&image(&samples, 70, 45, components, precision, signed), &EncodeOptions::default());
        }
    }
}

#[test]
fn extreme_samples() {
    for precision in [1, 8, 16, 26, 27, 31] {
        let most = ((1i64 << precision) - 1) as i32;
        for pattern in 0..4 {
            let samples: Vec<i32> = (0..90 * 90 * 3)
                .map(|n| match pattern {
                    0 => most,
                    1 => (n % 2) * most,
                    2 => (n / 3 % 2) * most,
                    _ => ((n / 3 / 90 + n / 3 % 90) % 2 * most) ^ (n % 3).wrapping_mul(most),
                })
                .map(|v| v & most)
                .collect();
            check(&image(&samples, 90, 90, 3, precision, false), &EncodeOptions::default());
        }
    }
}

#[test]
fn every_layout() {
    use Progression::*;
    let samples = picture(300, 211, 3, 8, false);
    let image = image(&samples, 300, 211, 3, 8, false);
    for progression in [Lrcp, Rlcp, Rpcl, Pcrl, Cprl] {
        for precincts in
            [Precincts::Maximal, Precincts::Sizes(vec![(5, 6), (6, 5), (7, 7)]), Precincts::Sizes(vec![(1, 1), (2, 8)])]
        {
            for tile in [None, Some((128, 100)), Some((300, 50)), Some((17, 200))] {
                let by_resolution = matches!(progression, Rlcp | Rpcl);
                for tile_parts in [TileParts::One, TileParts::ByResolution] {
                    if tile_parts == TileParts::ByResolution && !by_resolution {
                        continue;
                    }
                    for (tlm, plt, colour, block) in
                        [(true, false, true, (6, 6)), (false, true, false, (4, 3)), (true, true, true, (10, 2))]
                    {
                        let options = EncodeOptions {
                            progression,
                            precincts: precincts.clone(),
                            tile,
                            tile_parts,
                            tlm,
                            plt,
                            colour,
                            block,
                            decompositions: Some(4),
                            ..Default::default()
                        };
                        check(&image, &options);
                    }
                }
            }
        }
    }
}

#[test]
fn many_components() {
    let samples = picture(9, 7, 16384, 10, false);
    check(&image(&samples, 9, 7, 16384, 10, false), &EncodeOptions { decompositions: Some(1), ..Default::default() });
}

#[test]
fn irreversible_is_as_good_as_asked() {
    for (components, precision, signed) in [(1, 8, false), (1, 12, true), (3, 8, false), (1, 16, false)] {
        let samples = picture(300, 200, components, precision, signed);
        let image = image(&samples, 300, 200, components, precision, signed);
        for quality in [30.0, 45.0, 60.0, 80.0] {
            let options = EncodeOptions { transform: Transform::Irreversible { quality }, ..Default::default() };
            let mut stream = Vec::new();
            Encoder::new().encode(&image, &options, &mut stream).unwrap();
            let mut out = vec![0; samples.len()];
            Decoder::new().decode(&stream, 0, SamplesMut::I32(&mut out), image.stride).unwrap();
            let error: f64 = samples.iter().zip(&out).map(|(a, b)| (*a as f64 - *b as f64).powi(2)).sum::<f64>()
                / samples.len() as f64;
            let psnr = 20.0 * ((1i64 << precision) as f64).log10() - 10.0 * error.max(1e-9).log10();
            // Rounding to whole samples bounds what can be reached.
            let rounding = 20.0 * ((1i64 << precision) as f64).log10() + 10.79;
            assert!(
                psnr > (quality as f64 - 4.0).min(rounding - 4.0),
                "{components} x {precision}: {psnr} for {quality}"
            );
        }
    }
}

#[test]
fn wrong_requests_are_told() {
    let mut out = Vec::new();
    let samples = vec![256; 16];
    let bad = image(&samples, 4, 4, 1, 8, false);
    assert!(Encoder::new().encode(&bad, &EncodeOptions::default(), &mut out).is_err());
    let samples = vec![-129; 16];
    assert!(Encoder::new().encode(&image(&samples, 4, 4, 1, 8, true), &EncodeOptions::default(), &mut out).is_err());
    let small = image(&samples, 5, 4, 1, 8, true);
    assert!(Encoder::new().encode(&small, &EncodeOptions::default(), &mut out).is_err());
}

#[test]
fn level_checksums_are_those_of_the_decoded_samples() {
    let samples = picture(200, 100, 3, 8, false);
    let image = image(&samples, 200, 100, 3, 8, false);
    let mut stream = Vec::new();
    let levels =
        Encoder::new().encode(&image, &EncodeOptions { level_crc: true, ..Default::default() }, &mut stream).unwrap();
    let bytes: Vec<u8> = samples.iter().map(|v| *v as u8).collect();
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |c, b| {
            (0..8).fold(c ^ *b as u32, |c, _| if c & 1 != 0 { c >> 1 ^ 0xEDB88320 } else { c >> 1 })
        })
    };
    assert_eq!(levels.last().unwrap().crc32, Some(crc(&bytes)));
    let half = &levels[levels.len() - 2];
    let mut out = vec![0u8; (half.width * half.height * 3) as usize];
    Decoder::new().decode(&stream, half.level, SamplesMut::U8(&mut out), half.width as usize * 3).unwrap();
    assert_eq!(half.crc32, Some(crc(&out)));
}
