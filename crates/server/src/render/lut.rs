//! Look-up tables: Modality, VOI and palette (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5-6, C.7.9.2).

/// A look-up table: `values[0]` belongs to the input `first`, inputs outside take the value at the nearer end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lut {
    /// First input value mapped.
    pub first: i64,
    /// The output that is shown white.
    pub white: u16,
    /// Output values.
    pub values: Vec<u16>,
}

impl Lut {
    /// From a LUT Descriptor and LUT Data as little-endian bytes: one byte or one 16-bit word an entry. `None` without an entry.
    pub fn new(descriptor: [i64; 3], data: &[u8]) -> Option<Lut> {
        let entries = entries(descriptor);
        // 8-bit entries stand two in a word, the first one low, or one in a word: the length tells (and where it tells nothing,
        // the descriptor does).
        let bytes = data.len() < entries * 2 && (data.len() >= entries || descriptor[2] <= 8);
        let values = match bytes {
            true => data.iter().take(entries).map(|&b| b.into()).collect(),
            false => words(data).take(entries).collect(),
        };
        Lut::from_values(descriptor, values)
    }

    fn from_values(descriptor: [i64; 3], values: Vec<u16>) -> Option<Lut> {
        let greatest = *values.iter().max()?;
        Some(Lut { first: descriptor[1], white: white(descriptor[2], greatest), values })
    }

    /// From segmented data (PS3.3 C.7.9.2): discrete, linear and indirect segments, in bytes or in words.
    pub fn from_segments(descriptor: [i64; 3], data: &[u8]) -> Option<Lut> {
        let entries = entries(descriptor);
        let of_words = || Segments::expand(&words(data).collect::<Vec<u16>>(), 2, entries);
        let of_bytes = || Segments::expand(&data.iter().map(|&b| b.into()).collect::<Vec<u16>>(), 1, entries);
        // The descriptor says which; who says 8 and writes words is found out by the number of entries.
        let whole = |values: &Vec<u16>| values.len() == entries;
        let values = match descriptor[2] <= 8 {
            true => of_bytes().filter(whole).or_else(|| of_words().filter(whole)).or_else(of_bytes),
            false => of_words().filter(whole).or_else(|| of_bytes().filter(whole)).or_else(of_words),
        };
        Lut::from_values(descriptor, values?)
    }

    /// The output for an input.
    pub fn map(&self, input: i64) -> u16 {
        let at = input.saturating_sub(self.first).clamp(0, self.values.len() as i64 - 1);
        self.values[at as usize]
    }
}

/// The tables of a palette.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    luts: [Lut; 3],
    shift: u32,
}

impl Palette {
    /// Of the red, green and blue table; `bits` is the third value of their descriptors.
    pub fn new(luts: [Lut; 3], bits: i64) -> Palette {
        let greatest = luts.iter().flat_map(|lut| &lut.values).max().copied().unwrap_or(0);
        // Some tables state 16 bits and fill 8, or state 8 and fill 16. The three of them are alike.
        let stated = if bits > 8 { bits.min(16) as u32 } else { 16 };
        let bits = if greatest < 256 { 8 } else { stated.max(u16::BITS - greatest.leading_zeros()) };
        Palette { luts, shift: bits - 8 }
    }

    /// Red, green and blue of an index, 8 bits each.
    pub fn map(&self, index: i64) -> [u8; 3] {
        self.luts.each_ref().map(|lut| (lut.map(index) >> self.shift) as u8)
    }
}

/// Entries that a descriptor states; 0 means 65536.
fn entries(descriptor: [i64; 3]) -> usize {
    match descriptor[0] & 0xFFFF {
        0 => 65536,
        n => n as usize,
    }
}

/// The output that is white: what the stated bits can hold. Where the table goes beyond them, or states more than 8 bits and fills no
/// more than half of their range (16 stated, 12 used), it is the greatest value of the table.
fn white(bits: i64, greatest: u16) -> u16 {
    let stated = match bits {
        1..=15 => (1u16 << bits) - 1,
        _ => u16::MAX,
    };
    let broken = greatest > stated || (stated > 255 && greatest <= stated / 2);
    if broken && greatest > 0 { greatest } else { stated }
}

fn words(data: &[u8]) -> impl Iterator<Item = u16> {
    data.as_chunks::<2>().0.iter().map(|w| u16::from_le_bytes(*w))
}

/// Segmented data in expansion.
struct Segments<'a> {
    /// Bytes or words.
    data: &'a [u16],
    /// Bytes of each.
    size: usize,
    entries: usize,
    /// Where the segments met so far begin.
    starts: Vec<usize>,
    out: Vec<u16>,
}

impl Segments<'_> {
    fn expand(data: &[u16], size: usize, entries: usize) -> Option<Vec<u16>> {
        let mut segments = Segments { data, size, entries, starts: Vec::new(), out: Vec::with_capacity(entries) };
        segments.run(0, usize::MAX, true)?;
        segments.out.truncate(entries);
        Some(segments.out)
    }

    /// Expands up to `count` segments from `at` on, until all entries are there.
    fn run(&mut self, mut at: usize, count: usize, outermost: bool) -> Option<()> {
        for _ in 0..count {
            if self.out.len() >= self.entries || at + 2 > self.data.len() {
                break;
            }
            if outermost {
                self.starts.push(at);
            }
            let (opcode, length) = (self.data[at], usize::from(self.data[at + 1]));
            at += 2;
            match opcode {
                0 => {
                    self.out.extend(self.data.get(at..at + length)?);
                    at += length;
                }
                1 => {
                    let (from, to) = (f64::from(*self.out.last()?), f64::from(*self.data.get(at)?));
                    let step = (to - from) / length as f64;
                    self.out.extend((1..=length).map(|n| (from + step * n as f64).round_ties_even() as u16));
                    at += 1;
                }
                // No indirect segment leads to another one.
                2 if outermost && !self.out.is_empty() => {
                    let fields = if self.size == 1 { 4 } else { 2 };
                    let bits = 8 * self.size;
                    let field = |n: usize| Some(usize::from(*self.data.get(at + n)?) << (bits * n));
                    let offset = (0..fields).try_fold(0, |sum, n| Some(sum | field(n)?))?;
                    self.run(self.target(offset), length, false)?;
                    at += fields;
                }
                _ => return None,
            }
        }
        Some(())
    }

    /// Offsets count bytes; some writers count words. A segment begins there.
    fn target(&self, offset: usize) -> usize {
        let (bytes, begins) = (offset / self.size, |at: usize| self.starts.contains(&at));
        let exact = offset.is_multiple_of(self.size);
        if !(exact && begins(bytes)) && begins(offset) { offset } else { bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    #[test]
    fn ends_hold_outside() {
        let lut = Lut::new([3, -1, 16], &bytes(&[100, 30000, 65535])).unwrap();
        assert_eq!([-9, -1, 0, 1, 9].map(|v| lut.map(v)), [100, 100, 30000, 65535, 65535]);
        assert_eq!((lut.map(i64::MIN), lut.map(i64::MAX)), (100, 65535));
    }

    #[test]
    fn eight_bit_tables_come_in_bytes_and_words() {
        let values = |descriptor, data: &[u8]| Lut::new(descriptor, data).unwrap().values;
        assert_eq!(values([4, 0, 8], &[1, 2, 3, 255]), [1, 2, 3, 255]);
        assert_eq!(values([3, 0, 8], &[1, 2, 3, 0]), [1, 2, 3], "padded");
        assert_eq!(values([4, 0, 8], &bytes(&[1, 2, 3, 255])), [1, 2, 3, 255], "one in a word");
        assert_eq!(values([0, 0, 8], &[5; 256]), [5; 256], "fewer than stated");
        assert_eq!(values([0, 0, 16], &bytes(&vec![7; 65536])), [7; 65536]);
        assert_eq!(values([0, 0, 8], &vec![7; 65536]), [7; 65536]);
        assert_eq!(Lut::new([4, 0, 8], &[]), None);
    }

    #[test]
    fn white_is_what_the_table_fills() {
        let white = |bits, values: &[u16]| Lut::new([values.len() as i64, 0, bits], &bytes(values)).unwrap().white;
        assert_eq!(white(16, &[0, 65535]), 65535);
        assert_eq!(white(16, &[0, 40000]), 65535, "a table that ends below white");
        assert_eq!(white(16, &[0, 4095]), 4095, "16 bits stated, 12 used");
        assert_eq!(white(16, &[0, 255]), 255);
        assert_eq!(white(12, &[0, 4095]), 4095);
        assert_eq!(white(8, &[0, 100]), 255);
        assert_eq!(white(8, &[0, 4095]), 4095, "8 bits stated, 12 used");
        assert_eq!(white(0, &[0, 65535]), 65535);
        assert_eq!(white(16, &[0, 0]), 65535);
    }

    #[test]
    fn palettes_have_one_depth() {
        let lut = |bits, values: &[u16]| Lut::new([values.len() as i64, 0, bits], &bytes(values)).unwrap();
        let wide = Palette::new([lut(16, &[0, 0xFFFF]), lut(16, &[0, 0x8000]), lut(16, &[0, 200])], 16);
        assert_eq!(wide.map(1), [255, 128, 0], "the darkest table is of 16 bits too");
        let narrow = Palette::new([lut(16, &[0, 255]), lut(16, &[0, 128]), lut(16, &[0, 3])], 16);
        assert_eq!(narrow.map(1), [255, 128, 3], "16 bits stated, 8 used");
        let mixed = Palette::new([lut(8, &[0, 0xFF00]), lut(8, &[0, 0x8000]), lut(8, &[0, 0])], 8);
        assert_eq!(mixed.map(1), [255, 128, 0], "8 bits stated, 16 used");
    }

    #[test]
    fn segments_expand() {
        // Discrete 0, linear over 4 entries to 100, then the linear segment again by reference: it goes to 100 from 100.
        let data = bytes(&[0, 1, 0, 1, 4, 100, 2, 1, 6, 0]);
        let lut = Lut::from_segments([9, 0, 16], &data).unwrap();
        assert_eq!(lut.values, [0, 25, 50, 75, 100, 100, 100, 100, 100]);
        let by_words = Lut::from_segments([9, 0, 16], &bytes(&[0, 1, 0, 1, 4, 100, 2, 1, 3, 0])).unwrap();
        assert_eq!(by_words.values, lut.values, "an offset that counts words");
        assert_eq!(Lut::from_segments([9, 0, 16], &bytes(&[7, 1, 0])), None);
        assert_eq!(Lut::from_segments([9, 0, 16], &bytes(&[1, 1, 0])), None, "linear with nothing before it");
        let into_itself = bytes(&[0, 1, 0, 2, 1, 6, 0]);
        assert_eq!(Lut::from_segments([9, 0, 16], &into_itself), None, "indirect to itself");
    }

    #[test]
    fn segments_of_bytes_expand() {
        // Down from 200 to 100 over 5 entries; then both segments again, by an offset of 4 bytes.
        let data = [0, 1, 200, 1, 5, 100, 2, 2, 0, 0, 0, 0];
        let lut = Lut::from_segments([12, 0, 8], &data).unwrap();
        assert_eq!(lut.values, [200, 180, 160, 140, 120, 100, 200, 180, 160, 140, 120, 100]);
        let in_words = Lut::from_segments([6, 0, 8], &bytes(&[0, 1, 200, 1, 5, 100])).unwrap();
        assert_eq!(in_words.values, [200, 180, 160, 140, 120, 100], "8 bits stated, words written");
    }
}
