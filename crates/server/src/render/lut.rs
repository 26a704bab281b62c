//! Look-up tables: Modality, VOI and palette (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5, C.7.9.2).

/// A look-up table: `values[0]` belongs to the input `first`, inputs outside take the value at the nearer end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lut {
    /// First input value mapped.
    pub first: i32,
    /// Bits of an output value.
    pub bits: u16,
    /// Output values.
    pub values: Vec<u16>,
}

impl Lut {
    /// From a LUT Descriptor and LUT data given as little-endian bytes: one byte or one 16-bit word an entry.
    pub fn from_bytes(descriptor: [i32; 3], data: &[u8]) -> Option<Lut> {
        let entries = entries(descriptor);
        let values: Vec<u16> = if data.len() < entries * 2 && data.len() >= entries {
            data[..entries].iter().map(|&b| b.into()).collect()
        } else {
            words(data).take(entries).collect()
        };
        Lut::from_values(descriptor, values)
    }

    /// From a descriptor and the entries.
    pub fn from_values(descriptor: [i32; 3], values: Vec<u16>) -> Option<Lut> {
        let stated = u16::try_from(descriptor[2]).ok()?.clamp(8, 16);
        // Some tables state 16 bits and fill 8.
        let bits = if stated > 8 && values.iter().all(|&v| v < 256) { 8 } else { stated };
        (!values.is_empty()).then_some(Lut { first: descriptor[1], bits, values })
    }

    /// From segmented data (PS3.3 C.7.9.2): discrete, linear and indirect segments.
    pub fn from_segments(descriptor: [i32; 3], data: &[u8]) -> Option<Lut> {
        let entries = entries(descriptor);
        let data: Vec<u16> = words(data).collect();
        let mut values = Vec::with_capacity(entries);
        run_segments(&data, 0, usize::MAX, entries, true, &mut values)?;
        Lut::from_values(descriptor, values)
    }

    /// The output for an input.
    pub fn map(&self, input: i32) -> u16 {
        let at = input.saturating_sub(self.first).clamp(0, self.values.len() as i32 - 1);
        self.values[at as usize]
    }

    /// The output for an input, scaled to 8 bits.
    pub fn map8(&self, input: i32) -> u8 {
        match self.bits {
            8 => self.map(input).min(255) as u8,
            bits => (self.map(input) >> (bits - 8)).min(255) as u8,
        }
    }
}

/// Entries that a descriptor states; 0 means 65536.
fn entries(descriptor: [i32; 3]) -> usize {
    match descriptor[0] & 0xFFFF {
        0 => 65536,
        n => n as usize,
    }
}

fn words(data: &[u8]) -> impl Iterator<Item = u16> {
    data.chunks_exact(2).map(|w| u16::from_le_bytes([w[0], w[1]]))
}

/// Expands up to `segments` segments from word `at` on, until `entries` values are there.
fn run_segments(
    data: &[u16],
    mut at: usize,
    segments: usize,
    entries: usize,
    indirect: bool,
    out: &mut Vec<u16>,
) -> Option<()> {
    for _ in 0..segments {
        if out.len() >= entries || at + 2 > data.len() {
            break;
        }
        let (opcode, length) = (data[at], usize::from(data[at + 1]));
        at += 2;
        match opcode {
            0 => {
                out.extend(data.get(at..at + length)?);
                at += length;
            }
            1 => {
                let (from, to) = (f64::from(*out.last()?), f64::from(*data.get(at)?));
                out.extend((1..=length).map(|n| (from + (to - from) * n as f64 / length as f64).round() as u16));
                at += 1;
            }
            2 if indirect => {
                let target = usize::from(*data.get(at)?) | usize::from(*data.get(at + 1)?) << 16;
                run_segments(data, target / 2, length, entries, false, out)?;
                at += 2;
            }
            _ => return None,
        }
    }
    out.truncate(entries);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    #[test]
    fn ends_hold_outside() {
        let lut = Lut::from_bytes([3, -1, 16], &bytes(&[100, 30000, 65535])).unwrap();
        assert_eq!([-9, -1, 0, 1, 9].map(|v| lut.map(v)), [100, 100, 30000, 65535, 65535]);
        assert_eq!(lut.map8(1), 255);
    }

    #[test]
    fn eight_bit_tables_come_in_bytes_and_words() {
        let packed = Lut::from_bytes([4, 0, 8], &[1, 2, 3, 255]).unwrap();
        let padded = Lut::from_bytes([3, 0, 8], &[1, 2, 3, 0]).unwrap();
        let wide = Lut::from_bytes([4, 0, 16], &bytes(&[1, 2, 3, 255])).unwrap();
        assert_eq!([0, 3].map(|v| packed.map8(v)), [1, 255]);
        assert_eq!(padded.values, [1, 2, 3]);
        assert_eq!(wide.map8(3), 255, "16 bits stated, 8 used");
        assert_eq!(Lut::from_bytes([0, 0, 16], &bytes(&vec![7; 65536])).unwrap().values.len(), 65536);
        assert_eq!(Lut::from_bytes([4, 0, 8], &[]), None);
    }

    #[test]
    fn segments_expand() {
        // Discrete 0, linear over 4 entries to 100, then the linear segment again by reference: it goes to 100 from 100.
        let data = bytes(&[0, 1, 0, 1, 4, 100, 2, 1, 6, 0]);
        let lut = Lut::from_segments([9, 0, 16], &data).unwrap();
        assert_eq!(lut.values, [0, 25, 50, 75, 100, 100, 100, 100, 100]);
        assert_eq!(Lut::from_segments([9, 0, 16], &bytes(&[7, 1, 0])), None);
        assert_eq!(Lut::from_segments([9, 0, 16], &bytes(&[1, 1, 0])), None, "linear with nothing before it");
    }
}
