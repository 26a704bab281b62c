//! How much faster two threads code and decode one large frame than one: `cargo run --release --features rayon --example threads`.
//!
//! Wall time, as nothing else tells: on a machine with other work it needs both processors to itself (`chrt -r 10`). The frame is made here, 3000 x 3000,
//! 12 bits. One thread and two take turns, `FRAMES` frames each time, the two threads within one call of the pool, as a
//! server has it; a round's figure is the ratio of its two times, and the bar takes the median of the rounds. `both at once` is what the machine itself allows: one thread's
//! work done by both threads at the same time, each for itself, in units of one thread's pace.

use htj2k::{Decoder, EncodeOptions, Encoder, Image, Samples, SamplesMut};
use std::time::Instant;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FRAMES: usize = 4;
const ROUNDS: usize = 15;
const SIDE: u32 = 3000;

fn main() -> Result<(), Failure> {
    let samples: Vec<u16> = (0..SIDE as usize * SIDE as usize)
        .map(|n| {
            let (x, y) = ((n % SIDE as usize) as f32, (n / SIDE as usize) as f32);
            let noise = (n as u32).wrapping_mul(2654435761) >> 27;
            (1800.0 + 900.0 * (x / 310.0).sin() + 800.0 * (y / 270.0).cos()) as u16 + noise as u16
        })
        .collect();
    let mut stream = Vec::new();
    Encoder::new().encode(&image(&samples), &EncodeOptions::default(), &mut stream)?;
    let side = |parallel| -> Side<'_> {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        encoder.set_parallel(parallel);
        decoder.set_parallel(parallel);
        Side { encoder, decoder, samples: &samples, stream: &stream, bytes: Vec::new(), out: vec![0; samples.len()] }
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build()?;
    let (mut one, mut other, mut two) = (side(false), side(false), side(true));
    println!(
        "two threads on one frame of {SIDE}x{SIDE}, wall time, {ROUNDS} rounds of {FRAMES} frames, ratio to one thread"
    );
    for (verb, run) in [("encode", Side::encode as Run<'_>), ("decode", Side::decode)] {
        let (mut ratios, mut possible, mut times) = (Vec::new(), Vec::new(), [f64::MAX; 2]);
        for _ in 0..=ROUNDS {
            let alone = timed(|| run(&mut one))?;
            let shared = timed(|| pool.install(|| run(&mut two)))?;
            let both = timed(|| {
                let (a, b) = pool.join(|| run(&mut one), || run(&mut other));
                a.and(b)
            })?;
            ratios.push(alone / shared);
            possible.push(2.0 * alone / both);
            times = [times[0].min(alone), times[1].min(shared)];
        }
        // The first round warms up.
        let (best, middle) = best_and_median(&mut ratios[1..]);
        let (_, allowed) = best_and_median(&mut possible[1..]);
        let [alone, shared] = times.map(|t| t * 1e3 / FRAMES as f64);
        println!(
            "{verb}: one thread {alone:.1} ms, two {shared:.1} ms (best rounds); ratio by rounds: median {middle:.2}, best {best:.2}; both at once {allowed:.2}"
        );
        let met = if middle >= 1.7 { "ok" } else { "short" };
        println!("bar codec-two-threads-{verb} {middle:.2} >= 1.7 {met}");
    }
    assert!(one.out == samples && two.out == samples && one.bytes == two.bytes, "threads change the result");
    Ok(())
}

type Run<'a> = fn(&mut Side<'a>) -> Result<(), Failure>;

/// A codec, and what it works at.
struct Side<'a> {
    encoder: Encoder,
    decoder: Decoder,
    samples: &'a [u16],
    stream: &'a [u8],
    bytes: Vec<u8>,
    out: Vec<u16>,
}

impl Side<'_> {
    fn encode(&mut self) -> Result<(), Failure> {
        for _ in 0..FRAMES {
            self.bytes.clear();
            self.encoder.encode(&image(self.samples), &EncodeOptions::default(), &mut self.bytes)?;
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<(), Failure> {
        for _ in 0..FRAMES {
            self.decoder.decode(self.stream, 0, SamplesMut::U16(&mut self.out), SIDE as usize)?;
        }
        Ok(())
    }
}

fn image(samples: &[u16]) -> Image<'_> {
    let (width, height, stride) = (SIDE, SIDE, SIDE as usize);
    Image { width, height, components: 1, precision: 12, signed: false, stride, samples: Samples::U16(samples) }
}

/// Seconds.
fn timed(call: impl FnOnce() -> Result<(), Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed().as_secs_f64())
}

fn best_and_median(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() - 1], values[values.len() / 2])
}
