//! Fitting a picture to a viewport (PS3.18 8.3.5.1.4): means of areas going down, straight lines going up.

use super::Picture;

/// Fits `picture`, which shows an image of `full` columns and rows, into `viewport`, keeping its proportions.
pub fn fit(picture: Picture, full: (u32, u32), viewport: Option<(u32, u32)>, enlarge: bool) -> Picture {
    let Some(viewport) = viewport else { return picture };
    match fitted(full, viewport, enlarge) {
        (width, height) if (width, height) == (picture.width, picture.height) => picture,
        (width, height) => resize(&picture, width, height),
    }
}

/// The size of an image of `full` columns and rows within `viewport`.
pub fn fitted(full: (u32, u32), viewport: (u32, u32), enlarge: bool) -> (u32, u32) {
    let (w, h) = (f64::from(full.0.max(1)), f64::from(full.1.max(1)));
    let ratio = (f64::from(viewport.0) / w).min(f64::from(viewport.1) / h);
    let ratio = if enlarge { ratio } else { ratio.min(1.0) };
    (((w * ratio).round() as u32).max(1), ((h * ratio).round() as u32).max(1))
}

fn resize(picture: &Picture, width: u32, height: u32) -> Picture {
    let channels = usize::from(picture.channels);
    let columns = weights(picture.width, width);
    let rows = weights(picture.height, height);
    let in_row = picture.width as usize * channels;
    let out_row = width as usize * channels;
    let mut data = Vec::with_capacity(out_row * height as usize);
    let mut sum = vec![0f32; in_row];
    for taps in &rows {
        sum.fill(0.0);
        for &(y, weight) in taps {
            let row = &picture.data[y * in_row..(y + 1) * in_row];
            sum.iter_mut().zip(row).for_each(|(s, &v)| *s += weight * f32::from(v));
        }
        for taps in &columns {
            for channel in 0..channels {
                let value: f32 = taps.iter().map(|&(x, weight)| weight * sum[x * channels + channel]).sum();
                data.push(value.round().clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture { width, height, channels: picture.channels, data }
}

/// For each output position, the input positions it takes from and their weights, which add up to 1.
fn weights(input: u32, output: u32) -> Vec<Vec<(usize, f32)>> {
    let ratio = f64::from(input) / f64::from(output);
    (0..output).map(|n| if ratio > 1.0 { area(n, ratio, input) } else { line(n, ratio, input) }).collect()
}

fn area(n: u32, ratio: f64, input: u32) -> Vec<(usize, f32)> {
    let (from, to) = (f64::from(n) * ratio, (f64::from(n + 1) * ratio).min(f64::from(input)));
    let taps = (from as u32..(to.ceil() as u32).min(input)).map(|x| {
        let covered = to.min(f64::from(x + 1)) - from.max(f64::from(x));
        (x as usize, (covered / (to - from)) as f32)
    });
    taps.collect()
}

fn line(n: u32, ratio: f64, input: u32) -> Vec<(usize, f32)> {
    let at = ((f64::from(n) + 0.5) * ratio - 0.5).clamp(0.0, f64::from(input - 1));
    let (left, share) = (at as usize, (at - at.floor()) as f32);
    let right = (left + 1).min(input as usize - 1);
    vec![(left, 1.0 - share), (right, share)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, data: &[u8]) -> Picture {
        Picture { width, height, channels: 1, data: data.to_vec() }
    }

    #[test]
    fn means_of_areas() {
        let small = resize(&grey(4, 2, &[0, 100, 200, 200, 100, 0, 200, 200]), 2, 1);
        assert_eq!(small.data, [50, 200]);
        let thirds = resize(&grey(3, 1, &[0, 90, 180]), 2, 1);
        assert_eq!(thirds.data, [30, 150], "a pixel shared by two");
    }

    #[test]
    fn sizes() {
        assert_eq!(fitted((2000, 1000), (256, 256), false), (256, 128));
        assert_eq!(fitted((10, 20), (256, 256), false), (10, 20));
        assert_eq!(fitted((10, 20), (256, 256), true), (128, 256));
        assert_eq!(fitted((10000, 1), (100, 100), false), (100, 1));
        let larger = fit(grey(1, 1, &[9]), (1, 1), Some((3, 3)), true);
        assert_eq!((larger.width, larger.height, larger.data), (3, 3, vec![9; 9]));
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = grey(37, 23, &[77; 37 * 23]);
        assert!(resize(&flat, 10, 7).data.iter().all(|&v| v == 77));
        assert!(resize(&flat, 64, 64).data.iter().all(|&v| v == 77));
    }
}
