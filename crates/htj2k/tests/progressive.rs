//! Levels decoded while the bytes arrive are those decoded at once, however the bytes are cut.

use htj2k::{
    Decoder, EncodeOptions, Encoder, Header, Image, Progression, Progressive, Samples, SamplesMut, TileParts, Transform,
};

fn picture(width: usize, height: usize, components: usize) -> Vec<u8> {
    (0..width * height * components)
        .map(|n| {
            let (x, y, c) = (n / components % width, n / components / width, n % components);
            ((x * 3 + y * 2) / 4 + c * 40 + (n * n) % 13) as u8
        })
        .collect()
}

/// Feeds a stream in steps; decodes every level as it becomes whole, and sometimes the best image so far.
fn check(progressive: &mut Progressive, stream: &[u8], step: usize) {
    let header = Header::parse(stream, &Default::default()).unwrap();
    let components = header.components.len();
    let mut plain = Decoder::new();
    let (mut expected, mut got) = (vec![0i32; (header.width * header.height) as usize * components], Vec::new());
    got.resize(expected.len(), 0);
    progressive.restart();
    let (mut shown, mut seen) = (None, 0);
    for (n, bytes) in stream.chunks(step).enumerate() {
        progressive.push(bytes);
        let fed = progressive.bytes().len();
        let level = progressive.level().unwrap();
        assert!(level.is_none_or(|l| shown.is_none_or(|s| l <= s)), "levels only become finer");
        // A level that is whole, and now and then one that is not.
        for (level, whole) in level.map(|l| (l, true)).into_iter().chain((n % 7 == 3).then_some((0, false))) {
            if whole && shown == Some(level) && n % 5 != 0 {
                continue;
            }
            let (width, height) = header.size_at(level);
            let stride = width as usize * components;
            let a = progressive.decode(level, SamplesMut::I32(&mut got), stride);
            let b = plain.decode(&stream[..fed], level, SamplesMut::I32(&mut expected), stride);
            assert_eq!(a, b, "level {level} of {fed} bytes");
            if let Ok(decoded) = a {
                assert!(!whole || decoded.complete);
                assert!(
                    got[..stride * height as usize] == expected[..stride * height as usize],
                    "level {level} of {fed} bytes"
                );
            }
            if whole {
                seen += (shown != Some(level)) as usize;
                shown = Some(level);
            }
        }
    }
    assert_eq!(shown, Some(0));
    assert!(seen > 0);
}

#[test]
fn every_level_as_it_comes() {
    let mut progressive = Progressive::new();
    for (width, height, components) in [(300, 211, 1), (333, 200, 3), (70, 400, 2), (1, 1, 1), (65, 3, 4)] {
        let samples = picture(width, height, components);
        let image = Image {
            width: width as u32,
            height: height as u32,
            components: components as u16,
            precision: 8,
            signed: false,
            stride: width * components,
            samples: Samples::U8(&samples),
        };
        let plain = EncodeOptions::default();
        let options = [
            plain.clone(),
            EncodeOptions { tile_parts: TileParts::One, plt: true, ..plain.clone() },
            EncodeOptions { transform: Transform::Irreversible { quality: 50.0 }, ..plain.clone() },
            EncodeOptions { decompositions: Some(0), ..plain.clone() },
            EncodeOptions { tile: Some((100, 90)), decompositions: Some(3), ..plain.clone() },
            EncodeOptions { progression: Progression::Lrcp, tile_parts: TileParts::One, ..plain.clone() },
            EncodeOptions { precincts: htj2k::Precincts::Sizes(vec![(5, 5)]), ..plain.clone() },
        ];
        for options in options {
            let mut stream = Vec::new();
            Encoder::new().encode(&image, &options, &mut stream).unwrap();
            for step in [stream.len(), stream.len() / 3 + 1, 997, 100] {
                check(&mut progressive, &stream, step);
            }
        }
    }
}

#[test]
fn real_streams_in_pieces() {
    let Some(folder) = testkit::corpus("codec") else { return };
    let mut progressive = Progressive::new();
    for name in
        ["htj2k-wg04/NM1.j2c", "htj2k-wg04/US1.j2c", "htj2k-part15/ds0_ht_01_b11.j2k", "htj2k-part15/ds0_ht_15_b11.j2k"]
    {
        let stream = std::fs::read(folder.join(name)).unwrap();
        check(&mut progressive, &stream, stream.len() / 40 + 1);
    }
}
