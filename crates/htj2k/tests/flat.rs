//! A flat image is not an empty one: every sample of its only block is the same, so sums and differences of them cancel.

use htj2k::{Decoder, EncodeOptions, Encoder, Image, Samples, SamplesMut, Transform};

#[test]
fn flat_images_keep_their_grey() {
    for transform in [Transform::Reversible, Transform::Irreversible { quality: 60.0 }] {
        let pixels = [200u8; 64 * 64];
        let (width, height, samples) = (64, 64, Samples::U8(&pixels));
        let image = Image { width, height, components: 1, precision: 8, signed: false, stride: 64, samples };
        let options = EncodeOptions { decompositions: Some(0), transform, ..EncodeOptions::default() };
        let mut stream = Vec::new();
        Encoder::new().encode(&image, &options, &mut stream).unwrap();
        let mut out = [0u8; 64 * 64];
        Decoder::new().decode(&stream, 0, SamplesMut::U8(&mut out), 64).unwrap();
        assert!(out.iter().all(|v| v.abs_diff(200) <= 1), "{transform:?}: {}", out[0]);
    }
}
