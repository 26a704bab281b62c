//! Chrominance at half the size brought to full size, by the triangle filter of the reference software: three parts of the nearest
//! sample, one of the next. Other ratios are repeated.

use super::jpeg_scan::{Image, Part};

/// Narrower components are repeated.
const NARROW: usize = 2;

/// The samples of one component at the size of the image, row by row.
pub(super) fn full_size(image: &Image, part: &Part) -> Vec<u16> {
    let (h_max, v_max) = image.sampling();
    let (width, height) = part.size(image);
    let (across, down) = (h_max / part.h, v_max / part.v);
    let whole = h_max % part.h == 0 && v_max % part.v == 0;
    let smooth = whole && (width > NARROW || across == 1);
    let mut out = Vec::with_capacity(image.width * image.height);
    let (mut sums, mut wide) = (vec![0u32; width], Vec::with_capacity(2 * width));
    let row = |y: usize| &part.plane[y * part.stride..][..width];
    for y in 0..image.height {
        match (across, down) {
            (1, 1) if whole => out.extend_from_slice(&row(y)[..image.width]),
            (2, 1) if smooth => {
                sums.iter_mut().zip(row(y)).for_each(|(sum, v)| *sum = u32::from(*v));
                doubled(&sums, [1, 2], 2, &mut wide);
                out.extend_from_slice(&wide[..image.width]);
            }
            (2, 2) if smooth => {
                columns(row(y / 2), row(beside(y, height)), &mut sums);
                doubled(&sums, [8, 7], 4, &mut wide);
                out.extend_from_slice(&wide[..image.width]);
            }
            (1, 2) if smooth => {
                columns(row(y / 2), row(beside(y, height)), &mut sums);
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                out.extend(sums[..image.width].iter().map(|sum| ((sum + bias) >> 2) as u16));
            }
            _ => {
                let from = row((y * part.v / v_max).min(height - 1));
                out.extend((0..image.width).map(|x| from[(x * part.h / h_max).min(width - 1)]));
            }
        }
    }
    out
}

/// The row beside the nearest one: above an upper half, below a lower one, never outside.
fn beside(y: usize, height: usize) -> usize {
    if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { (y / 2 + 1).min(height - 1) }
}

/// Three parts of the nearest row and one of the other.
fn columns(near: &[u16], far: &[u16], sums: &mut [u32]) {
    let pairs = near.iter().zip(far);
    sums.iter_mut().zip(pairs).for_each(|(sum, (near, far))| *sum = 3 * u32::from(*near) + u32::from(*far));
}

/// Each value twice, each copy with a quarter of its neighbour. `bias`: what rounds the left and the right copies.
fn doubled(values: &[u32], bias: [u32; 2], shift: u32, out: &mut Vec<u16>) {
    out.clear();
    let last = values.len() - 1;
    for (n, value) in values.iter().enumerate() {
        let (left, right) =
            (if n == 0 { *value } else { values[n - 1] }, if n == last { *value } else { values[n + 1] });
        out.push(((3 * value + left + bias[0]) >> shift) as u16);
        out.push(((3 * value + right + bias[1]) >> shift) as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::doubled;

    #[test]
    fn ends_keep_their_value_and_the_rest_is_three_to_one() {
        let mut out = Vec::new();
        doubled(&[0, 100, 200], [1, 2], 2, &mut out);
        assert_eq!(out, [0, 25, 75, 125, 175, 200]);
    }
}
