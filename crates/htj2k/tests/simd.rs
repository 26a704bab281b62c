//! Whatever SIMD level is forced, streams and samples are those of the scalar level.

use htj2k::{Decoder, EncodeOptions, Encoder, Header, Image, Limits, Samples, SamplesMut, Simd, SimdLevel, Transform};

fn others() -> impl Iterator<Item = Simd> {
    Simd::all().filter(|simd| simd.level() != SimdLevel::Scalar)
}

fn scalar() -> Simd {
    Simd::forced(SimdLevel::Scalar).unwrap()
}

#[test]
fn the_machine_has_a_fast_level() {
    assert!(others().count() > 0);
    assert_ne!(Simd::detect().level(), SimdLevel::Scalar);
    let all = [SimdLevel::Avx512, SimdLevel::Avx2, SimdLevel::Sse2, SimdLevel::Neon, SimdLevel::Simd128];
    for level in all.into_iter().filter(|level| Simd::forced(*level).is_none()) {
        println!("not on this machine, so not tried here: {level:?}");
    }
}

#[test]
fn made_images() {
    for (width, height, components, precision) in
        [(999, 130, 1, 12), (333, 130, 3, 8), (70, 66, 2, 16), (65, 131, 1, 24), (64, 64, 3, 31), (17, 5, 1, 31)]
    {
        let samples: Vec<i32> = (0..width as usize * height as usize * components as usize)
            .map(|n| (((n / 999 * 3 + n % 999 + n * n % 37) << (precision - 4)) & ((1 << precision) - 1)) as i32)
            .collect();
        let stride = width as usize * components as usize;
        let samples = Samples::I32(&samples);
        let image = Image { width, height, components, precision, signed: false, stride, samples };
        for transform in [Transform::Reversible, Transform::Irreversible { quality: 60.0 }] {
            let options = EncodeOptions { transform, decompositions: Some(3), ..EncodeOptions::default() };
            let stream = |simd| {
                let mut stream = Vec::new();
                Encoder::with_simd(simd).encode(&image, &options, &mut stream).unwrap();
                stream
            };
            let expected = stream(scalar());
            for simd in others() {
                assert!(stream(simd) == expected, "{width}x{height}x{components} {precision} bits, {simd:?}");
            }
            same_samples(&expected, &format!("{width}x{height}x{components} {precision} bits {transform:?}"));
        }
    }
}

/// Streams of other encoders, with refinement passes, regions of interest and blocks of Part 1.
#[test]
fn conformance_streams() {
    let Some(folder) = testkit::corpus("codec") else { return };
    let mut count = 0;
    for file in std::fs::read_dir(folder.join("htj2k-part15")).unwrap() {
        let path = file.unwrap().path();
        if matches!(path.extension().and_then(|e| e.to_str()), Some("j2k" | "jph" | "j2c" | "jhc")) {
            let bytes = std::fs::read(&path).unwrap();
            let start = bytes.windows(4).position(|w| w == [0xff, 0x4f, 0xff, 0x51]).unwrap_or(0);
            same_samples(&bytes[start..], &path.display().to_string());
            count += 1;
        }
    }
    assert!(count > 10, "{count} streams");
}

fn same_samples(stream: &[u8], what: &str) {
    let header = Header::parse(stream, &Limits::default()).unwrap();
    let level = header.decompositions.min(1);
    let (width, height) = header.size_at(level);
    let stride = width as usize * header.components.len();
    let decode = |simd| {
        let mut out = vec![0i32; stride * height as usize];
        let decoded = Decoder::with_simd(simd).decode(stream, level, SamplesMut::I32(&mut out), stride);
        decoded.map(|d| (d, out))
    };
    let expected = decode(scalar());
    for simd in others() {
        assert!(decode(simd) == expected, "{what}, {simd:?}");
    }
}
