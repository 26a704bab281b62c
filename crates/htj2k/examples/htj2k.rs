//! Encodes and decodes raw and PGM/PPM files; what the interoperability judges call.
//!
//! `htj2k encode IN OUT.j2c [width= height= components= bits= signed=] [levels= block=WxH progression= tile=WxH precinct=W,H
//! quality= tlm= plt= parts=one|resolution colour=]`: without a width, IN is PGM or PPM.
//! `htj2k decode IN.j2c OUT.raw [level=N]`: samples interleaved, little endian, in 1, 2 or 4 bytes.
//! `htj2k index IN.j2c`: where each level ends.
//! `htj2k rows IN.j2c [level=0 y=0 rows=1 gap=0]`: what part of a level's bytes some of its rows take.

use htj2k::{
    Decoder, Detail, EncodeOptions, Encoder, Header, Image, Index, Precincts, Progression, Progressive, Region,
    RegionRanges, Samples, SamplesMut, TileParts, Transform,
};
use std::{collections::HashMap, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let settings: HashMap<&str, &str> = args.iter().filter_map(|a| a.split_once('=')).collect();
    let files: Vec<&String> = args.iter().filter(|a| !a.contains('=')).collect();
    match files.as_slice() {
        [verb, input, output] if *verb == "encode" => encode(input, output, &settings),
        [verb, input, output] if *verb == "decode" => decode(input, output, &settings),
        [verb, input] if *verb == "index" => index(input),
        [verb, input] if *verb == "rows" => rows(input, &settings),
        _ => Err("encode IN OUT, decode IN OUT, index IN, or rows IN".into()),
    }
}

fn encode(input: &str, output: &str, settings: &HashMap<&str, &str>) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(input)?;
    let number = |key: &str, default: u32| settings.get(key).map_or(Ok(default), |v| v.parse::<u32>());
    let (width, height, components, bits, samples) = if settings.contains_key("width") {
        let (w, h) = (number("width", 0)?, number("height", 0)?);
        let (c, b) = (number("components", 1)?, number("bits", 8)?);
        (w, h, c, b, raw(&bytes, b, number("signed", 0)? != 0))
    } else {
        pnm(&bytes)?
    };
    let mut options = EncodeOptions::default();
    for (key, value) in settings {
        set(&mut options, key, value)?;
    }
    let image = Image {
        width,
        height,
        components: components as u16,
        precision: bits as u8,
        signed: number("signed", 0)? != 0,
        stride: (width * components) as usize,
        samples: Samples::I32(&samples),
    };
    let mut out = Vec::new();
    Encoder::new().encode(&image, &options, &mut out)?;
    fs::write(output, out)?;
    Ok(())
}

fn set(options: &mut EncodeOptions, key: &str, value: &str) -> Result<(), Box<dyn Error>> {
    let pair = |v: &str| -> Result<(u32, u32), Box<dyn Error>> {
        let (a, b) = v.split_once(['x', ',']).ok_or("a pair of numbers")?;
        Ok((a.parse()?, b.parse()?))
    };
    match key {
        "levels" => options.decompositions = Some(value.parse()?),
        "block" => options.block = (pair(value)?.0.ilog2() as u8, pair(value)?.1.ilog2() as u8),
        "tile" => options.tile = Some(pair(value)?),
        "precinct" => options.precincts = Precincts::Sizes(vec![(pair(value)?.0 as u8, pair(value)?.1 as u8)]),
        "quality" => options.transform = Transform::Irreversible { quality: value.parse()? },
        "tlm" => options.tlm = value == "1",
        "plt" => options.plt = value == "1",
        "colour" => options.colour = value == "1",
        "parts" => options.tile_parts = if value == "one" { TileParts::One } else { TileParts::ByResolution },
        "progression" => {
            options.progression = match value {
                "LRCP" => Progression::Lrcp,
                "RLCP" => Progression::Rlcp,
                "RPCL" => Progression::Rpcl,
                "PCRL" => Progression::Pcrl,
                "CPRL" => Progression::Cprl,
                _ => return Err("an unknown progression".into()),
            }
        }
        _ => {}
    }
    Ok(())
}

fn raw(bytes: &[u8], bits: u32, signed: bool) -> Vec<i32> {
    match (bits, signed) {
        (..=8, false) => bytes.iter().map(|b| *b as i32).collect(),
        (..=8, true) => bytes.iter().map(|b| *b as i8 as i32).collect(),
        (..=16, false) => bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b) as i32).collect(),
        (..=16, true) => bytes.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b) as i32).collect(),
        _ => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect(),
    }
}

type Picture = (u32, u32, u32, u32, Vec<i32>);

/// A binary PGM or PPM file; 16-bit samples are big endian there.
fn pnm(bytes: &[u8]) -> Result<Picture, Box<dyn Error>> {
    let mut fields = Vec::new();
    let mut at = 0;
    while fields.len() < 4 {
        while bytes.get(at).is_some_and(|b| b.is_ascii_whitespace()) {
            at += 1;
        }
        let end = at + bytes[at..].iter().position(|b| b.is_ascii_whitespace()).ok_or("a header")?;
        fields.push(std::str::from_utf8(&bytes[at..end])?);
        at = end;
    }
    let components = match fields[0] {
        "P5" => 1,
        "P6" => 3,
        _ => return Err("neither PGM nor PPM".into()),
    };
    let bits = fields[3].parse::<u32>()?.ilog2() + 1;
    let body = &bytes[at + 1..];
    let samples = if bits <= 8 {
        body.iter().map(|b| *b as i32).collect()
    } else {
        body.as_chunks().0.iter().map(|b| u16::from_be_bytes(*b) as i32).collect()
    };
    Ok((fields[1].parse()?, fields[2].parse()?, components, bits, samples))
}

fn decode(input: &str, output: &str, settings: &HashMap<&str, &str>) -> Result<(), Box<dyn Error>> {
    let bytes = fs::read(input)?;
    let header = Header::parse(&bytes, &Default::default())?;
    let level = settings.get("level").map_or(Ok(0), |v| v.parse())?;
    let (width, height) = header.size_at(level);
    let stride = width as usize * header.components.len();
    let mut samples = vec![0; stride * height as usize];
    let decoded = Decoder::new().decode(&bytes, level, SamplesMut::I32(&mut samples), stride)?;
    let out: Vec<u8> = match header.components.iter().map(|c| c.precision).max() {
        Some(..=8) => samples.iter().map(|v| *v as u8).collect(),
        Some(..=16) => samples.iter().flat_map(|v| (*v as u16).to_le_bytes()).collect(),
        _ => samples.iter().flat_map(|v| v.to_le_bytes()).collect(),
    };
    fs::write(output, out)?;
    println!("{width} {height} {} complete={}", header.components.len(), decoded.complete);
    Ok(())
}

fn index(input: &str) -> Result<(), Box<dyn Error>> {
    let index = Index::read(&fs::read(input)?, &Default::default())?;
    println!("{:#?}", index.header);
    for level in &index.levels {
        println!("level {} {} x {} ends at {}", level.level, level.width, level.height, level.end);
    }
    println!("complete={}", index.complete);
    Ok(())
}

/// Of a client that holds the levels before, the packet headers apart.
fn rows(input: &str, settings: &HashMap<&str, &str>) -> Result<(), Box<dyn Error>> {
    let number = |key: &str, default: u64| settings.get(key).map_or(Ok(default), |v| v.parse::<u64>());
    let (level, gap) = (number("level", 0)? as u8, number("gap", 0)?);
    let bytes = fs::read(input)?;
    let index = Index::read(&bytes, &Default::default())?;
    let end = |level: u8| index.levels.iter().find(|l| l.level == level).map(|l| l.end as usize);
    let (before, whole) = (end(level + 1).unwrap_or(0), end(level).ok_or("no such level")?);
    let (width, _) = index.header.size_at(level);
    let region = Region { x: 0, y: number("y", 0)? as u32, width, height: number("rows", 1)? as u32 };
    let mut image = Progressive::new();
    image.push(&bytes[..before]);
    let (mut headers, mut blocks, mut requests) = (0, 0, 0);
    loop {
        let (ranges, sum) = match image.region_ranges(bytes.len() as u64, level, region, Detail::All, gap)? {
            RegionRanges::First(range) => (vec![range], &mut headers),
            RegionRanges::Ranges(ranges) => (ranges, &mut blocks),
            RegionRanges::Unknown => return Err("ranges are not told of this codestream".into()),
        };
        if ranges.is_empty() {
            break;
        }
        requests += ranges.len();
        for range in ranges {
            *sum += range.end - range.start;
            image.put(range.start, &bytes[range.start as usize..range.end as usize])?;
        }
    }
    let (took, level) = (headers + blocks, whole - before);
    let part = took as f64 / level as f64;
    println!("{took} of {level} bytes = {part:.3}: {headers} for headers, {blocks} of code-blocks, {requests} ranges");
    Ok(())
}
