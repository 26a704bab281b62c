//! What is analysed is synthesised again, at every size, parity and SIMD level.

use super::*;
use alloc::{vec, vec::Vec};

/// Analyses one level: gives LL, HL, LH, HH as rows.
fn analyse<T: Transform>(simd: Simd, image: &[Vec<T>], x0: u32, y0: u32) -> [Vec<Vec<T>>; 4] {
    let (w, h) = (image[0].len(), image.len());
    let low_width = (x0 as usize + w).div_ceil(2) - (x0 as usize).div_ceil(2);
    let mut bands: [Vec<Vec<T>>; 4] = Default::default();
    let (mut columns, mut ring) = (Columns::default(), Buffer::<T>::default());
    columns.start(&mut ring, w, y0, y0 + h as u32);
    for n in 0..=h + T::STEPS as usize {
        match image.get(n) {
            Some(row) => columns.analyse(&mut ring, simd, |r| r.copy_from_slice(row)),
            None => columns.advance_analysis(&mut ring, simd),
        }
        while let Some((y, place, row)) = columns.finished(&mut ring) {
            let (mut low, mut high) = (vec![T::default(); low_width], vec![T::default(); w - low_width]);
            T::analyse_row(simd, row, x0 & 1 != 0, place, &mut low, &mut high);
            bands[(y as usize & 1) * 2].push(low);
            bands[(y as usize & 1) * 2 + 1].push(high);
        }
    }
    bands
}

fn synthesise<T: Transform>(simd: Simd, bands: &[Vec<Vec<T>>; 4], (w, h): (u32, u32), x0: u32, y0: u32) -> Vec<Vec<T>> {
    let (mut columns, mut ring) = (Columns::default(), Buffer::<T>::default());
    columns.start(&mut ring, w as usize, y0, y0 + h);
    (0..h)
        .map(|_| {
            let done = columns.synthesise(&mut ring, simd, |y, place, out| {
                let half = (y & 1) as usize * 2;
                let n = if y & 1 == 0 { y / 2 - y0.div_ceil(2) } else { y / 2 - y0 / 2 } as usize;
                T::synthesise_row(simd, &bands[half][n], &bands[half + 1][n], x0 & 1 != 0, place, out);
                Ok::<(), ()>(())
            });
            done.unwrap();
            columns.latest(&ring).to_vec()
        })
        .collect()
}

fn noise(n: usize) -> i32 {
    ((n as u32).wrapping_mul(2654435761) >> 20) as i32 - 2048
}

const SIZES: [usize; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 17, 40, 67];

#[test]
fn reversible_comes_back_exactly() {
    let levels: Vec<Simd> = Simd::all().collect();
    for (w, h) in SIZES.iter().flat_map(|w| SIZES.iter().map(move |h| (*w, *h))) {
        for (x0, y0) in [(0, 0), (1, 0), (0, 1), (3, 5)] {
            let image: Vec<Vec<i32>> = (0..h).map(|y| (0..w).map(|x| noise(y * w + x)).collect()).collect();
            let oracle = analyse(levels[0], &image, x0, y0);
            for &simd in &levels {
                let bands = analyse(simd, &image, x0, y0);
                assert_eq!(bands, oracle, "{w}x{h} at {x0},{y0}, {simd:?}");
                let back = synthesise(simd, &bands, (w as u32, h as u32), x0, y0);
                assert_eq!(back, image, "{w}x{h} at {x0},{y0}, {simd:?}");
            }
        }
    }
}

#[test]
fn irreversible_comes_back_closely() {
    for (w, h) in SIZES.iter().flat_map(|w| SIZES.iter().map(move |h| (*w, *h))) {
        for (x0, y0) in [(0, 0), (1, 0), (0, 1), (3, 5)] {
            let image: Vec<Vec<f32>> = (0..h).map(|y| (0..w).map(|x| noise(y * w + x) as f32).collect()).collect();
            for simd in Simd::all() {
                let bands = analyse(simd, &image, x0, y0);
                let back = synthesise(simd, &bands, (w as u32, h as u32), x0, y0);
                let worst = image.iter().flatten().zip(back.iter().flatten()).map(|(a, b)| (a - b).abs());
                assert!(worst.fold(0.0, f32::max) < 0.01, "{w}x{h} at {x0},{y0}, {simd:?}");
            }
        }
    }
}

/// The low-pass filter of both transforms has a gain of 1: a flat image stays flat.
#[test]
fn flat_stays_flat() {
    let bands = analyse(Simd::detect(), &vec![vec![100i32; 20]; 20], 0, 0);
    assert!(bands[0].iter().flatten().all(|v| *v == 100));
    assert!(bands[1..].iter().flatten().flatten().all(|v| *v == 0));
    let bands = analyse(Simd::detect(), &vec![vec![100f32; 20]; 20], 0, 0);
    assert!(bands[0].iter().flatten().all(|v| (*v - 100.0).abs() < 0.01));
    assert!(bands[1..].iter().flatten().flatten().all(|v| v.abs() < 0.01));
}
