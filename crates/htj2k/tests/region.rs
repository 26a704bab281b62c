//! A region is what the same rectangle of the whole level is; with the feature `rayon`, threads change nothing, neither samples nor bytes.

use htj2k::{Decoder, EncodeOptions, Encoder, ErrorKind, Image, Precincts, Region, Samples, SamplesMut, Transform};

fn stream(width: u32, height: u32, components: u16, options: &EncodeOptions) -> Vec<u8> {
    let n = width as usize * height as usize * components as usize;
    let samples: Vec<u16> = (0..n).map(|n| ((n / 7 + n % 501 * 3 + (n * n) % 61) % 4096) as u16).collect();
    let stride = width as usize * components as usize;
    let image =
        Image { width, height, components, precision: 12, signed: false, stride, samples: Samples::U16(&samples) };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, options, &mut stream).unwrap();
    stream
}

#[test]
fn regions_are_parts_of_the_level() {
    let plain = EncodeOptions::default();
    let settings = [
        (1, plain.clone()),
        (3, plain.clone()),
        (1, EncodeOptions { transform: Transform::Irreversible { quality: 60.0 }, ..plain.clone() }),
        (1, EncodeOptions { decompositions: Some(0), ..plain.clone() }),
        (3, EncodeOptions { tile: Some((200, 150)), decompositions: Some(3), ..plain.clone() }),
        (1, EncodeOptions { precincts: Precincts::Sizes(vec![(6, 5)]), block: (5, 4), ..plain.clone() }),
    ];
    let (width, height) = (517u32, 389u32);
    let mut decoder = Decoder::new();
    for (components, options) in settings {
        let stream = stream(width, height, components, &options);
        let c = components as usize;
        for level in [0, 1, 3] {
            let (w, h) = (width.div_ceil(1 << level), height.div_ceil(1 << level));
            let mut whole = vec![0u16; (w * h) as usize * c];
            let Ok(_) = decoder.decode(&stream, level, SamplesMut::U16(&mut whole), w as usize * c) else {
                assert_eq!(options.decompositions, Some(0));
                continue;
            };
            let regions = [
                (0, 0, w, h),
                (0, 0, 1, 1),
                (w - 1, h - 1, 1, 1),
                (w / 3, h / 2, w / 3 + 1, 7.min(h - h / 2)),
                (5, 3, w - 9, h - 5),
                (w / 2, 0, 3, h),
            ];
            for (x, y, width, height) in regions {
                let mut part = vec![0u16; (width * height) as usize * c];
                let region = Region { x, y, width, height };
                let decoded = decoder
                    .decode_region(&stream, level, region, SamplesMut::U16(&mut part), width as usize * c)
                    .unwrap();
                assert_eq!((decoded.width, decoded.height, decoded.complete), (width, height, true));
                for row in 0..height as usize {
                    let start = ((y as usize + row) * w as usize + x as usize) * c;
                    let expected = &whole[start..start + width as usize * c];
                    let got = &part[row * width as usize * c..(row + 1) * width as usize * c];
                    let close = |a: u16, b: u16| a.abs_diff(b) <= (options.transform != Transform::Reversible) as u16;
                    assert!(expected.iter().zip(got).all(|(a, b)| close(*a, *b)), "{region:?} row {row} level {level}");
                }
            }
        }
    }
}

#[test]
fn a_region_outside_is_an_error() {
    let stream = stream(100, 50, 1, &EncodeOptions::default());
    let mut out = vec![0u16; 5000];
    for (x, y, width, height) in [(0, 0, 101, 1), (99, 0, 2, 1), (0, 50, 1, 1), (0, 0, 0, 1), (u32::MAX, 0, 2, 1)] {
        let region = Region { x, y, width, height };
        let e = Decoder::new().decode_region(&stream, 0, region, SamplesMut::U16(&mut out), 100).unwrap_err();
        assert!(matches!(e.kind, ErrorKind::Request(_)), "{e}");
    }
}

/// Streams and samples at some numbers of threads are those of one thread.
#[cfg(feature = "rayon")]
#[test]
fn threads_change_nothing() {
    let pools = [1, 2, 3, 7].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    encoder.set_parallel(true);
    decoder.set_parallel(true);
    let plain = EncodeOptions::default();
    let options = [
        plain.clone(),
        EncodeOptions { transform: Transform::Irreversible { quality: 60.0 }, ..plain.clone() },
        EncodeOptions { tile: Some((128, 400)), decompositions: Some(3), ..plain.clone() },
        EncodeOptions { decompositions: Some(0), ..plain.clone() },
        EncodeOptions { block: (3, 9), decompositions: Some(2), ..plain.clone() },
    ];
    for (width, height, components, precision) in [
        (300, 900, 1, 12),
        (150, 1100, 3, 12),
        (40, 3000, 1, 12),
        (200, 100, 1, 12),
        (90, 400, 2, 12),
        (90, 700, 3, 31),
    ] {
        let samples: Vec<i32> = (0..width as usize * height as usize * components as usize)
            .map(|n| (((n / 7 + n % 501 * 3 + (n * n) % 61) << (precision - 12)) & ((1 << precision) - 1)) as i32)
            .collect();
        let stride = width as usize * components as usize;
        let samples = Samples::I32(&samples);
        let image = Image { width, height, components, precision, signed: false, stride, samples };
        for options in &options {
            let mut stream = Vec::new();
            Encoder::new().encode(&image, options, &mut stream).unwrap();
            for pool in &pools {
                let mut again = Vec::new();
                pool.install(|| encoder.encode(&image, options, &mut again)).unwrap();
                let threads = pool.current_num_threads();
                assert!(again == stream, "{width}x{height}x{components}, {threads} threads, {options:?}");
            }
            for level in 0..3.min(options.decompositions.unwrap_or(5) as u32 + 1) {
                let (w, h) = (width.div_ceil(1 << level), height.div_ceil(1 << level));
                let stride = w as usize * components as usize + 3;
                let mut one = vec![0i32; stride * h as usize];
                let mut many = one.clone();
                Decoder::new().decode(&stream, level as u8, SamplesMut::I32(&mut one), stride).unwrap();
                let region = Region { x: w / 3, y: h / 5, width: w / 2, height: h / 2 };
                let mut part = vec![0i32; stride * h as usize];
                Decoder::new().decode_region(&stream, level as u8, region, SamplesMut::I32(&mut part), stride).unwrap();
                for pool in &pools {
                    let what = format!(
                        "{width}x{height}x{components} level {level}, {} threads, {options:?}",
                        pool.current_num_threads()
                    );
                    many.fill(0);
                    pool.install(|| decoder.decode(&stream, level as u8, SamplesMut::I32(&mut many), stride)).unwrap();
                    assert!(one == many, "{what}");
                    many.fill(0);
                    let out = SamplesMut::I32(&mut many);
                    pool.install(|| decoder.decode_region(&stream, level as u8, region, out, stride)).unwrap();
                    assert!(part == many, "{region:?}, {what}");
                }
            }
        }
    }
}
