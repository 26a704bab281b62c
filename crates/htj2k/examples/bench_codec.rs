//! The codec's side of `make bench-codec`: answers one request a line, with CPU time measured around the codec alone.
//!
//! Requests: `load FILE WIDTH HEIGHT COMPONENTS PRECISION SIGNED` (raw little-endian samples, one byte each up to 8 bits,
//! else two), `encode N`, `decode N`, `save FILE`, `level N LEVEL`, `incremental N`, `simd` and `simd LEVEL`. Each answer is one line: `ok`,
//! or nanoseconds for all N and the bytes of the codestream; to `simd` the levels of this machine, the one in use first.

use cpu_time::ProcessTime;
use htj2k::{Decoder, EncodeOptions, Encoder, Image, Progressive, Samples, SamplesMut, Simd};
use std::io::{BufRead, Write};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut bench = Bench::default();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        writeln!(out, "{}", bench.answer(&words)?)?;
        out.flush()?;
    }
    Ok(())
}

#[derive(Default)]
struct Bench {
    frame: Frame,
    encoder: Encoder,
    decoder: Decoder,
    progressive: Progressive,
    stream: Vec<u8>,
    room: Vec<u8>,
    room16: Vec<u16>,
}

#[derive(Default)]
struct Frame {
    width: u32,
    height: u32,
    components: u16,
    precision: u8,
    signed: bool,
    narrow: Vec<u8>,
    wide: Vec<u16>,
}

/// The level that is chosen when nothing else is asked for, then the others.
fn levels() -> String {
    let best = Simd::detect();
    let others = Simd::all().filter(|simd| *simd != best);
    let names: Vec<String> = [best].into_iter().chain(others).map(|simd| format!("{:?}", simd.level())).collect();
    names.join("\t")
}

impl Bench {
    fn answer(&mut self, words: &[&str]) -> Result<String, Failure> {
        match words {
            ["load", rest @ ..] => self.load(rest),
            ["encode", n] => self.encode(n.parse()?),
            ["decode", n] => self.decode(n.parse()?, 0),
            ["level", n, level] => self.decode(n.parse()?, level.parse()?),
            ["incremental", n] => self.incremental(n.parse()?),
            ["simd"] => Ok(levels()),
            ["simd", level] => self.force(level),
            ["save", path] => {
                std::fs::write(path, &self.stream)?;
                Ok("ok".into())
            }
            other => Err(format!("unknown request: {other:?}").into()),
        }
    }

    fn load(&mut self, words: &[&str]) -> Result<String, Failure> {
        let [path, width, height, components, precision, signed] = words else {
            return Err("load takes six words".into());
        };
        let bytes = std::fs::read(path)?;
        let frame = &mut self.frame;
        (frame.width, frame.height, frame.components) = (width.parse()?, height.parse()?, components.parse()?);
        (frame.precision, frame.signed) = (precision.parse()?, *signed == "1");
        frame.wide = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        frame.narrow = bytes;
        let len = frame.width as usize * frame.height as usize * frame.components as usize;
        self.room = vec![0; len];
        self.room16 = vec![0; len];
        Ok("ok".into())
    }

    /// Encodes and decodes at a certain level from here on; `incremental` goes on at the best.
    fn force(&mut self, level: &str) -> Result<String, Failure> {
        let simd = Simd::all().find(|simd| format!("{:?}", simd.level()) == level).ok_or("no such level here")?;
        (self.encoder, self.decoder) = (Encoder::with_simd(simd), Decoder::with_simd(simd));
        Ok("ok".into())
    }

    fn encode(&mut self, n: u32) -> Result<String, Failure> {
        let options = EncodeOptions::default();
        let frame = &self.frame;
        let signed: Vec<i16> = if frame.signed { frame.wide.iter().map(|&s| s as i16).collect() } else { Vec::new() };
        let samples = match (frame.precision <= 8, frame.signed) {
            (true, _) => Samples::U8(&frame.narrow),
            (false, false) => Samples::U16(&frame.wide),
            (false, true) => Samples::I16(&signed),
        };
        let image = Image {
            width: frame.width,
            height: frame.height,
            components: frame.components,
            precision: frame.precision,
            signed: frame.signed,
            stride: frame.width as usize * frame.components as usize,
            samples,
        };
        let start = ProcessTime::now();
        for _ in 0..n {
            self.stream.clear();
            self.encoder.encode(&image, &options, &mut self.stream)?;
        }
        Ok(format!("{}\t{}", start.elapsed().as_nanos(), self.stream.len()))
    }

    fn decode(&mut self, n: u32, level: u8) -> Result<String, Failure> {
        let frame = &self.frame;
        let width = frame.width.div_ceil(1 << level) as usize;
        let stride = width * frame.components as usize;
        let mut signed = vec![0i16; if frame.signed { self.room.len() } else { 0 }];
        let start = ProcessTime::now();
        for _ in 0..n {
            let out = match (frame.precision <= 8, frame.signed) {
                (true, _) => SamplesMut::U8(&mut self.room),
                (false, false) => SamplesMut::U16(&mut self.room16),
                (false, true) => SamplesMut::I16(&mut signed),
            };
            self.decoder.decode(&self.stream, level, out, stride)?;
        }
        let elapsed = start.elapsed().as_nanos();
        self.check(level, &signed)?;
        Ok(format!("{elapsed}\t{}", self.stream.len()))
    }

    /// Every level in turn, each as soon as its bytes are there.
    fn incremental(&mut self, n: u32) -> Result<String, Failure> {
        let index = htj2k::Index::read(&self.stream, &Default::default())?;
        let components = self.frame.components as usize;
        let mut signed = vec![0i16; if self.frame.signed { self.room.len() } else { 0 }];
        let start = ProcessTime::now();
        for _ in 0..n {
            self.progressive.restart();
            let mut sent = 0;
            for level in &index.levels {
                self.progressive.push(&self.stream[sent..level.end as usize]);
                sent = level.end as usize;
                let out = match (self.frame.precision <= 8, self.frame.signed) {
                    (true, _) => SamplesMut::U8(&mut self.room),
                    (false, false) => SamplesMut::U16(&mut self.room16),
                    (false, true) => SamplesMut::I16(&mut signed),
                };
                self.progressive.decode(level.level, out, level.width as usize * components)?;
            }
        }
        let elapsed = start.elapsed().as_nanos();
        self.check(0, &signed)?;
        Ok(format!("{elapsed}\t{}", self.stream.len()))
    }

    /// A fast decoder that is wrong is no decoder.
    fn check(&self, level: u8, signed: &[i16]) -> Result<(), Failure> {
        let frame = &self.frame;
        let same = level > 0
            || match (frame.precision <= 8, frame.signed) {
                (true, _) => self.room == frame.narrow,
                (false, false) => self.room16 == frame.wide,
                (false, true) => signed.iter().zip(&frame.wide).all(|(&a, &b)| a as u16 == b),
            };
        if same { Ok(()) } else { Err("the decoded samples differ from the source".into()) }
    }
}
