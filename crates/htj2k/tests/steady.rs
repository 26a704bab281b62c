//! Once a context has seen a frame, the next ones like it allocate nothing.

use htj2k::{Decoder, EncodeOptions, Encoder, Image, Samples, SamplesMut};

#[test]
fn a_steady_state_allocates_nothing() {
    for (components, precision) in [(1u16, 16u8), (3, 8), (5, 12)] {
        let (width, height) = (321u32, 233u32);
        let stride = width as usize * components as usize;
        let frames: Vec<Vec<u16>> = (0..4usize)
            .map(|f| {
                let sample =
                    |n: usize| (((n / stride) * 7 + n % stride * 3 + (n * (n + f)) % 29) % (1 << precision)) as u16;
                (0..stride * height as usize).map(sample).collect()
            })
            .collect();
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        // Room for any frame, for coded sizes differ.
        let (mut stream, mut levels) = (Vec::with_capacity(1 << 20), Vec::with_capacity(33));
        let mut out = vec![0u16; stride * height as usize];
        let mut frame = |samples: &[u16]| {
            stream.clear();
            let image =
                Image { width, height, components, precision, signed: false, stride, samples: Samples::U16(samples) };
            encoder.encode_to(&image, &EncodeOptions::default(), &mut stream, &mut levels).unwrap();
            decoder.decode(&stream, 0, SamplesMut::U16(&mut out), stride).unwrap();
            assert_eq!(out, samples);
        };
        // Every frame once, then all of them again.
        frames.iter().for_each(|f| frame(f));
        let counted = allocation_counter::measure(|| frames.iter().for_each(|f| frame(f)));
        assert_eq!(counted.count_total, 0, "{components} components of {precision} bits: {counted:?}");
    }
}
