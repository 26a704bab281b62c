//! Which frames another decoder looks at, and which ones an outsider too.

use std::str::FromStr;

/// Of the first frames of a class that are looked at, so many are shown to an outsider too, where encoder and second decoder are both ours.
const OUTSIDER_FIRST: u64 = 32;

/// Then one in so many of those that are looked at.
const OUTSIDER_SHARE: u32 = 32;

/// Which frames are shown to the second decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// So many frames of each class, all of them.
    pub first: u64,
    /// Then this share of the frames, from 0 to 1.
    pub share: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { first: 1000, share: 0.01 }
    }
}

impl Sampling {
    /// No second opinion at all.
    pub const OFF: Sampling = Sampling { first: 0, share: 0.0 };

    /// Is nothing looked at?
    pub fn is_off(&self) -> bool {
        self.first == 0 && self.share <= 0.0
    }

    /// The first of a class, of which so many were seen before, then a share: the same frames in every run.
    pub(super) fn turn(&self, seen: u64, samples_sha256: &str) -> Turn {
        let digits = |from: usize| {
            samples_sha256.get(from..from + 8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
        };
        if seen >= self.first && f64::from(digits(0)) >= self.share * 2f64.powi(32) {
            return Turn::Nobody;
        }
        // Other digits than those that chose the frame.
        let outsider = seen < self.first.clamp(1, OUTSIDER_FIRST) || digits(8) % OUTSIDER_SHARE == 0;
        if outsider { Turn::Both } else { Turn::Second }
    }
}

impl FromStr for Sampling {
    type Err = String;

    /// `off`, `all`, a number of first frames, or that and a share: `1000, 1%`.
    fn from_str(text: &str) -> Result<Sampling, String> {
        let wrong = || format!("{text:?} is not off, all, a number of frames, or that and a share (1000, 1%)");
        match text.trim() {
            "off" => return Ok(Sampling::OFF),
            "all" => return Ok(Sampling { first: 0, share: 1.0 }),
            _ => {}
        }
        let (first, share) = text.split_once(',').map_or((text, None), |(first, share)| (first, Some(share)));
        let first = first.trim().parse().map_err(|_| wrong())?;
        let Some(share) = share else { return Ok(Sampling { first, ..Sampling::default() }) };
        let percent: f64 = share.trim().trim_end_matches('%').trim_end().parse().map_err(|_| wrong())?;
        if !(0.0..=100.0).contains(&percent) {
            return Err(wrong());
        }
        Ok(Sampling { first, share: percent / 100.0 })
    }
}

/// Who looks at a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Nobody,
    /// The second decoder.
    Second,
    /// And an outsider, where the second decoder is of the encoder's authors.
    Both,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of 20,000 frames of one class gets.
    fn run(sampling: Sampling) -> Vec<Turn> {
        let hash = |n: u32| format!("{:08x}{:08x}", n.wrapping_mul(2_654_435_761), n.wrapping_mul(0x9E37_79B1) >> 7);
        let mut seen = 0;
        let turn = |n| {
            let turn = sampling.turn(seen, &hash(n));
            seen += u64::from(turn != Turn::Nobody);
            turn
        };
        (0..20_000).map(turn).collect()
    }

    #[test]
    fn the_first_are_all_looked_at_then_a_share_by_hash_and_none_when_off() {
        let asked = |sampling| {
            let turns = run(sampling).into_iter().enumerate();
            turns.filter(|(_, turn)| *turn != Turn::Nobody).map(|(n, _)| n).collect::<Vec<_>>()
        };
        let sampling = Sampling { first: 1000, share: 0.01 };
        let some = asked(sampling);
        assert!(some[..1000].iter().copied().eq(0..1000));
        assert!((150..250).contains(&(some.len() - 1000)), "{}", some.len());
        assert_eq!(some, asked(sampling));
        assert!(asked(Sampling::OFF).is_empty());
        assert_eq!(asked(Sampling { first: 0, share: 1.0 }).len(), 20_000);
    }

    /// The first of a class, whatever is asked for; then one in 32 of what is looked at.
    #[test]
    fn an_outsider_sees_the_first_and_a_part_of_those_that_follow() {
        for (sampling, first) in [
            (Sampling { first: 1000, share: 0.5 }, 32),
            (Sampling { first: 10, share: 0.5 }, 10),
            (Sampling { first: 0, share: 1.0 }, 1),
            (Sampling { first: 0, share: 0.1 }, 1),
        ] {
            let looked: Vec<Turn> = run(sampling).into_iter().filter(|turn| *turn != Turn::Nobody).collect();
            assert!(looked[..first].iter().all(|turn| *turn == Turn::Both), "{sampling:?}");
            let both = looked[first..].iter().filter(|turn| **turn == Turn::Both).count() as f64;
            let expected = looked.len() as f64 / 32.0;
            assert!((0.7 * expected..1.3 * expected).contains(&both), "{sampling:?}: {both} of {expected}");
        }
    }

    #[test]
    fn sampling_as_it_is_written_in_settings() {
        let read = |text: &str| text.parse::<Sampling>();
        assert_eq!(read("off"), Ok(Sampling::OFF));
        assert_eq!(read("1000, 1%"), Ok(Sampling::default()));
        assert_eq!(read("0,0"), Ok(Sampling::OFF));
        assert_eq!(read("50"), Ok(Sampling { first: 50, share: 0.01 }));
        assert_eq!(read("all"), Ok(Sampling { first: 0, share: 1.0 }));
        for wrong in ["", "1%", "5, 101%", "5, -1", "5, nan", "few"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
