//! Real codestreams: the WG04 set against its raw samples, and what becomes of them when they are cut or damaged.

mod corpus;

use htj2k::{Decoder, ErrorKind, Header, Index, SamplesMut};
use std::fs;
use std::path::Path;

/// Samples of a stream at a level, as 32-bit numbers.
fn decode(
    decoder: &mut Decoder,
    stream: &[u8],
    header: &Header,
    level: u8,
) -> Result<(Vec<i32>, htj2k::Decoded), htj2k::Error> {
    let (width, height) = header.size_at(level);
    let stride = width as usize * header.components.len();
    let mut samples = vec![0; stride * height as usize];
    let decoded = decoder.decode(stream, level, SamplesMut::I32(&mut samples), stride)?;
    Ok((samples, decoded))
}

#[test]
fn wg04_streams_are_their_raw_samples() {
    let Some(folder) = corpus::folder("codec/htj2k-wg04") else { return };
    let mut decoder = Decoder::new();
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let raw = path.with_extension("RAW");
        if path.extension().is_none_or(|e| e != "j2c") || !raw.exists() {
            continue;
        }
        let stream = fs::read(&path).unwrap();
        let header = Header::parse(&stream, &Default::default()).unwrap();
        assert!(header.high_throughput);
        let (samples, decoded) = decode(&mut decoder, &stream, &header, 0).unwrap();
        assert!(decoded.complete);
        let expected = words(&fs::read(raw).unwrap(), &header);
        assert!(samples == expected, "{}", path.display());
        count += 1;
    }
    assert!(count >= 6, "only {count} streams with samples");
}

fn words(raw: &[u8], header: &Header) -> Vec<i32> {
    let component = header.components[0];
    match (component.precision, component.signed) {
        (..=8, false) => raw.iter().map(|b| *b as i32).collect(),
        (..=8, true) => raw.iter().map(|b| *b as i8 as i32).collect(),
        (_, false) => raw.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b) as i32).collect(),
        (_, true) => raw.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b) as i32).collect(),
    }
}

/// Every prefix of every level, and at every other length an image or a clear error, byte by byte through three real streams.
#[test]
fn every_truncation_gives_an_image_or_a_clear_error() {
    for (name, coarsest) in [
        ("codec/htj2k-part15/ds1_ht_01_b11.j2k", false),
        ("codec/htj2k-part15/ds1_ht_06_b11.j2k", false),
        ("codec/htj2k-wg04/NM1.j2c", true),
    ] {
        let Some((stream, _)) = read(name) else { return };
        let header = Header::parse(&stream, &Default::default()).unwrap();
        let mut decoder = Decoder::new();
        let mut images = 0;
        for length in 0..stream.len() {
            let level = if coarsest { header.decompositions } else { length as u8 % (header.decompositions + 1) };
            match decoder.decode_planes(&stream[..length], level) {
                Ok((_, decoded)) => {
                    images += 1;
                    if let Some(need) = decoded.need {
                        assert_eq!(
                            decoded.complete,
                            length as u64 >= need.min(length as u64 + !decoded.complete as u64),
                            "{name} at {length}"
                        );
                    }
                }
                Err(e) => assert!(matches!(e.kind, ErrorKind::Truncated { .. }), "{name} at {length}: {e}"),
            }
        }
        assert!(images > stream.len() / 2, "{name}: {images} images of {}", stream.len());
    }
}

/// The image only gets better: once complete, a level stays as it is, however much more comes.
#[test]
fn a_complete_level_does_not_change() {
    let Some((stream, _)) = read("codec/htj2k-wg04/NM1.j2c") else { return };
    let header = Header::parse(&stream, &Default::default()).unwrap();
    let index = Index::read(&stream, &Default::default()).unwrap();
    assert!(index.complete);
    let mut decoder = Decoder::new();
    for level in &index.levels {
        let (whole, _) = decode(&mut decoder, &stream, &header, level.level).unwrap();
        for length in
            [level.end as usize, level.end as usize + 1, (level.end as usize + stream.len()) / 2, stream.len()]
        {
            let length = length.min(stream.len());
            let (part, decoded) = decode(&mut decoder, &stream[..length], &header, level.level).unwrap();
            assert!(decoded.complete && part == whole, "level {} from {length} bytes", level.level);
        }
        let (_, decoded) = decode(&mut decoder, &stream[..level.end as usize - 3], &header, level.level).unwrap();
        assert!(level.level == 0 || !decoded.complete, "level {}", level.level);
    }
}

/// A damaged stream gives an image or an error, in time, and never a panic.
#[test]
fn damaged_streams_do_no_harm() {
    for name in
        ["codec/htj2k-part15/ds0_ht_01_b11.j2k", "codec/htj2k-part15/ds0_hm_15_b8.j2k", "codec/htj2k-wg04/NM1.j2c"]
    {
        let Some((stream, _)) = read(name) else { return };
        let mut decoder = Decoder::new();
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as usize
        };
        for _ in 0..300 {
            let mut damaged = stream.clone();
            for _ in 0..1 + random() % 4 {
                // Headers as often as bodies.
                let range = if random() % 2 == 0 { 300.min(damaged.len()) } else { damaged.len() };
                damaged[random() % range] = random() as u8;
            }
            let mut limits = htj2k::Limits::default();
            limits.max_pixels = 1 << 22;
            if let Ok(header) = Header::parse(&damaged, &limits) {
                let mut decoder_of_limits = Decoder::with_limits(limits);
                let _ = decoder_of_limits.decode_planes(&damaged, header.decompositions.min(1));
                let _ = Index::read(&damaged, &limits);
            }
        }
        let header = Header::parse(&stream, &Default::default()).unwrap();
        assert!(decoder.decode_planes(&stream, header.decompositions).is_ok());
    }
}

fn read(name: &str) -> Option<(Vec<u8>, String)> {
    let path = Path::new(name);
    let folder = corpus::folder(path.parent()?.to_str()?)?;
    Some((fs::read(folder.join(path.file_name()?)).unwrap(), name.to_owned()))
}
