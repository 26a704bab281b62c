//! How much faster two threads decode one large frame than one: `cargo run --release --features rayon --example threads`.
//!
//! Wall time, medians of rounds in turn; the frame is made here, 3000 x 3000, 12 bits. On a busy machine wall time says
//! little: so the CPU time of the two halves, each decoded by itself, is told beside it.

use cpu_time::ThreadTime;
use htj2k::{Decoder, EncodeOptions, Encoder, Image, Region, Samples, SamplesMut};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (width, height) = (3000u32, 3000u32);
    let samples: Vec<u16> = (0..width as usize * height as usize)
        .map(|n| {
            let (x, y) = ((n % width as usize) as f32, (n / width as usize) as f32);
            let noise = (n as u32).wrapping_mul(2654435761) >> 27;
            (1800.0 + 900.0 * (x / 310.0).sin() + 800.0 * (y / 270.0).cos()) as u16 + noise as u16
        })
        .collect();
    let stride = width as usize;
    let image =
        Image { width, height, components: 1, precision: 12, signed: false, stride, samples: Samples::U16(&samples) };
    let mut stream = Vec::new();
    Encoder::new().encode(&image, &EncodeOptions::default(), &mut stream)?;
    let mut out = vec![0u16; samples.len()];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let (mut one, mut two) = (Decoder::new(), Decoder::new());
    two.set_parallel(true);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..15 {
        let start = Instant::now();
        one.decode(&stream, 0, SamplesMut::U16(&mut out), stride)?;
        times[0].push(start.elapsed());
        let start = Instant::now();
        pool.install(|| two.decode(&stream, 0, SamplesMut::U16(&mut out), stride))?;
        times[1].push(start.elapsed());
    }
    assert_eq!(out, samples);
    let [one, two] = times.map(|mut t| {
        t.sort();
        t[t.len() / 2].as_secs_f64()
    });
    println!("one thread {:.1} ms, two threads {:.1} ms", one * 1e3, two * 1e3);
    let mut halves = [Vec::new(), Vec::new(), Vec::new()];
    let mut decoder = Decoder::new();
    for _ in 0..15 {
        for (times, (y, rows)) in halves.iter_mut().zip([(0, height), (0, height / 2), (height / 2, height / 2)]) {
            let region = Region { x: 0, y, width, height: rows };
            let start = ThreadTime::now();
            decoder.decode_region(&stream, 0, region, SamplesMut::U16(&mut out), stride)?;
            times.push(start.elapsed());
        }
    }
    let [whole, top, bottom] = halves.map(|mut t| {
        t.sort();
        t[t.len() / 2].as_secs_f64()
    });
    println!(
        "CPU: whole {:.1} ms, halves {:.1} and {:.1} ms, ratio {:.2}",
        whole * 1e3,
        top * 1e3,
        bottom * 1e3,
        whole / top.max(bottom)
    );
    let ratio = one / two;
    println!("bar codec-two-threads {ratio:.2} >= 1.7 {}", if ratio >= 1.7 { "ok" } else { "short" });
    Ok(())
}
