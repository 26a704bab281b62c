//! Decoded samples to native pixel data as the source had it (PS3.5 7.3, 8.1.1, 8.2): the way back of `decode::native`.

use dicom::data_set::swap;
use std::borrow::Cow;

/// How the source's native frames are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    /// Bytes of one sample.
    pub(crate) size: u8,
    /// Planes one after the other.
    pub(crate) planar: bool,
    /// Numbers are big endian.
    pub(crate) big_endian: bool,
    /// 8-bit samples in 16-bit words of big endian: bytes stand in swapped pairs.
    pub(crate) words: bool,
    /// Two pixels share their chrominance.
    pub(crate) halved: bool,
}

impl Layout {
    pub(crate) fn flags(self) -> u8 {
        [self.planar, self.big_endian, self.words, self.halved]
            .iter()
            .rev()
            .fold(0, |flags, f| flags << 1 | u8::from(*f))
    }

    /// `None` when there is no such layout.
    pub(crate) fn of_flags(flags: u64, size: u64) -> Option<Layout> {
        let flag = |n: u32| flags >> n & 1 == 1;
        let known = flags < 16 && matches!(size, 1 | 2 | 4 | 8) && (!flag(2) || size == 1);
        known.then(|| Layout {
            size: size as u8,
            planar: flag(0),
            big_endian: flag(1),
            words: flag(2),
            halved: flag(3),
        })
    }

    /// The native bytes of one frame of `samples` a pixel. `odd` carries a byte from frame to frame where pairs are swapped.
    pub(crate) fn store<'a>(self, frame: &'a [u8], samples: usize, odd: &mut Option<u8>) -> Cow<'a, [u8]> {
        let mut bytes = self.arrange(frame, samples.max(1));
        if self.words {
            let mut pairs: Vec<u8> = odd.take().into_iter().chain(bytes.iter().copied()).collect();
            if pairs.len() % 2 == 1 {
                *odd = pairs.pop();
            }
            swap(&mut pairs, 2);
            return Cow::Owned(pairs);
        }
        if self.big_endian && self.size > 1 {
            swap(bytes.to_mut(), usize::from(self.size));
        }
        bytes
    }

    fn arrange(self, frame: &[u8], samples: usize) -> Cow<'_, [u8]> {
        let size = usize::from(self.size);
        if self.halved {
            return Cow::Owned(share_chrominance(frame, size));
        }
        if self.planar && samples > 1 {
            return Cow::Owned(pixels_to_planes(frame, samples, size));
        }
        Cow::Borrowed(frame)
    }
}

/// Samples side by side to planes one after the other.
fn pixels_to_planes(frame: &[u8], samples: usize, size: usize) -> Vec<u8> {
    let mut planes = vec![0; frame.len()];
    let plane = frame.len() / samples;
    for (n, plane) in planes.chunks_exact_mut(plane.max(1)).enumerate().take(samples) {
        for (sample, pixel) in plane.chunks_exact_mut(size).zip(frame.chunks_exact(samples * size)) {
            sample.copy_from_slice(&pixel[n * size..][..size]);
        }
    }
    planes
}

/// Two pixels of Y Cb Cr to Y Y Cb Cr (PS3.3 C.7.6.3.1.2).
fn share_chrominance(frame: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len() / 3 * 2);
    for two in frame.chunks_exact(6 * size) {
        out.extend_from_slice(&two[..size]);
        out.extend_from_slice(&two[3 * size..6 * size]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(layout: Layout, samples: usize, frames: &[&[u8]]) -> Vec<u8> {
        let mut odd = None;
        frames.iter().flat_map(|f| layout.store(f, samples, &mut odd).into_owned()).collect()
    }

    #[test]
    fn planes_words_and_byte_order() {
        let one = Layout { size: 1, ..Layout::default() };
        assert_eq!(stored(Layout { planar: true, ..one }, 3, &[&[1, 3, 5, 2, 4, 6]]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(stored(Layout { size: 2, big_endian: true, ..one }, 1, &[&[1, 2, 3, 4]]), [2, 1, 4, 3]);
        // Pairs cross the border of odd frames; a last byte without a partner is left to the program.
        let words = Layout { big_endian: true, words: true, ..one };
        assert_eq!(stored(words, 1, &[&[1, 2, 3], &[4, 5, 6], &[7]]), [2, 1, 4, 3, 6, 5]);
        assert_eq!(stored(Layout { halved: true, ..one }, 3, &[&[1, 8, 9, 2, 8, 9]]), [1, 2, 8, 9]);
    }

    #[test]
    fn flags_are_read_back() {
        for flags in 0..16 {
            for size in [1, 2, 4, 8] {
                let known = Layout::of_flags(flags, size);
                assert!(known.is_none_or(|l| u64::from(l.flags()) == flags && u64::from(l.size) == size));
            }
        }
        assert_eq!(Layout::of_flags(16, 1), None);
        assert_eq!(Layout::of_flags(0, 3), None);
    }
}
