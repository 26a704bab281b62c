//! Words burned into a rendered image (`annotation`, PS3.18 8.3.5.1.1): who the patient is, and how the image was made.

use super::Rows;
use dicom::{Source, Tag};
use font8x8::{BASIC_FONTS, GREEK_FONTS, HIRAGANA_FONTS, LATIN_FONTS, UnicodeFonts};

/// What is burned in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Annotation {
    /// Name, identifier, birth date and sex.
    pub patient: bool,
    /// Modality, dates and what the image was made with.
    pub technique: bool,
}

/// Pixels of a letter.
const LETTER: usize = 8;
/// Pixels from line to line.
const LINE: usize = 10;
/// Letters of a line.
pub const LONGEST: usize = 64;
/// Lines of a text that are drawn.
pub const MOST_LINES: usize = 64;

const PATIENT: [(&str, Tag); 4] = [
    ("", Tag(0x0010, 0x0010)),
    ("ID ", Tag(0x0010, 0x0020)),
    ("born ", Tag(0x0010, 0x0030)),
    ("", Tag(0x0010, 0x0040)),
];

const TECHNIQUE: [(&str, Tag, &str); 9] = [
    ("", Tag(0x0008, 0x0060), ""),
    ("", Tag(0x0008, 0x0020), ""),
    ("", Tag(0x0008, 0x103E), ""),
    ("", Tag(0x0018, 0x0060), " kV"),
    ("", Tag(0x0018, 0x1151), " mA"),
    ("", Tag(0x0018, 0x1152), " mAs"),
    ("slice ", Tag(0x0018, 0x0050), " mm"),
    ("TR ", Tag(0x0018, 0x0080), " ms"),
    ("TE ", Tag(0x0018, 0x0081), " ms"),
];

/// The lines for an instance: those of the patient stand at the top, those of the technique at the bottom.
pub fn lines(source: &Source, annotation: Annotation) -> (Vec<String>, Vec<String>) {
    let set = source.data_set();
    let value = |tag| set.get(tag).map(|element| set.text(element).join(" ")).filter(|text| !text.trim().is_empty());
    let patient = PATIENT.iter().filter_map(|(before, tag)| {
        let text = value(*tag)?;
        Some(format!("{before}{}", text.split('=').next().unwrap_or_default().replace('^', " ").trim()))
    });
    let technique = TECHNIQUE.iter().filter_map(|(before, tag, unit)| Some(format!("{before}{}{unit}", value(*tag)?)));
    (
        if annotation.patient { patient.collect() } else { Vec::new() },
        if annotation.technique { technique.collect() } else { Vec::new() },
    )
}

/// Draws lines on pixels in memory, the first letter at column and row `place`; what is beyond the right or lower end is not drawn.
pub fn stamp(pixels: &mut [u8], width: usize, channels: usize, place: (usize, usize), scale: usize, lines: &[String]) {
    let block = Block::new(place.0, place.1, scale, lines);
    let rows = pixels.chunks_exact_mut((width * channels).max(1)).enumerate();
    for (y, row) in rows.skip(block.y).take(block.height) {
        block.ink(y, row, channels);
    }
}

/// Rows with words on them.
pub struct Annotated<'a> {
    of: &'a mut dyn Rows,
    blocks: Vec<Block>,
}

impl<'a> Annotated<'a> {
    /// Puts lines at the top and at the bottom of an image, as large as it allows.
    pub fn new(of: &'a mut dyn Rows, top: &[String], bottom: &[String]) -> Annotated<'a> {
        let scale = (of.width() as usize / 384).clamp(1, 8);
        let (margin, height) = (4 * scale, of.height() as usize);
        let upper = Block::new(margin, margin, scale, top);
        let mut lower = Block::new(margin, margin, scale, bottom);
        lower.y = height.saturating_sub(lower.height + margin);
        Annotated { of, blocks: vec![upper, lower] }
    }
}

impl Rows for Annotated<'_> {
    fn width(&self) -> u32 {
        self.of.width()
    }

    fn height(&self) -> u32 {
        self.of.height()
    }

    fn channels(&self) -> usize {
        self.of.channels()
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        self.of.row(y, out);
        let channels = self.of.channels();
        self.blocks.iter().for_each(|block| block.ink(y as usize, out, channels));
    }
}

/// One pixel of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ink {
    None,
    /// Around letters, so that they can be read on white.
    Black,
    White,
}

/// Lines of words, drawn. They are held as small as they are drawn, and made larger as they are put on a row.
struct Block {
    x: usize,
    y: usize,
    /// Rows of the image.
    height: usize,
    /// Pixels of the image, each way, for one of `inks`.
    scale: usize,
    /// Of a row of `inks`.
    columns: usize,
    inks: Vec<Ink>,
}

impl Block {
    fn new(x: usize, y: usize, scale: usize, lines: &[String]) -> Block {
        let lines = &lines[..lines.len().min(MOST_LINES)];
        let longest = lines.iter().map(|line| line.chars().take(LONGEST).count()).max().unwrap_or(0);
        let (columns, rows) = (longest * LETTER + 2, lines.len() * LINE + 2);
        let mut inks = vec![Ink::None; columns * rows];
        for (n, line) in lines.iter().enumerate() {
            for (m, c) in line.chars().take(LONGEST).enumerate() {
                draw(&mut inks, columns, m * LETTER + 1, n * LINE + 1, glyph(c));
            }
        }
        Block { x, y, height: if lines.is_empty() { 0 } else { rows * scale }, scale, columns, inks }
    }
}

impl Block {
    /// Puts what of it is in row `y` onto that row.
    fn ink(&self, y: usize, row: &mut [u8], channels: usize) {
        let Some(line) = y.checked_sub(self.y).filter(|line| *line < self.height) else { return };
        let inks = &self.inks[line / self.scale * self.columns..][..self.columns];
        let wide = inks.iter().flat_map(|ink| std::iter::repeat_n(ink, self.scale));
        for (ink, pixel) in wide.zip(row.chunks_exact_mut(channels).skip(self.x)) {
            match ink {
                Ink::None => {}
                Ink::Black => pixel.fill(0),
                Ink::White => pixel.fill(255),
            }
        }
    }
}

/// Draws a letter with a rim.
fn draw(inks: &mut [Ink], columns: usize, x: usize, y: usize, glyph: [u8; 8]) {
    let set = (0..LETTER * LETTER).filter(|at| glyph[at / LETTER] >> (at % LETTER) & 1 == 1);
    for at in set {
        let (x, y) = (x + at % LETTER, y + at / LETTER);
        for near in [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)] {
            let ink = &mut inks[near.1 * columns + near.0];
            if *ink == Ink::None {
                *ink = Ink::Black;
            }
        }
        inks[y * columns + x] = Ink::White;
    }
}

/// The picture of a letter, row by row, the left pixel lowest; a box for one that the font has not.
fn glyph(c: char) -> [u8; 8] {
    const BOX: [u8; 8] = [0x7E, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7E, 0];
    let found = BASIC_FONTS.get(c).or_else(|| LATIN_FONTS.get(c)).or_else(|| GREEK_FONTS.get(c));
    found.or_else(|| HIRAGANA_FONTS.get(c)).unwrap_or(BOX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Grey(u32, u32);

    impl Rows for Grey {
        fn width(&self) -> u32 {
            self.0
        }
        fn height(&self) -> u32 {
            self.1
        }
        fn channels(&self) -> usize {
            3
        }
        fn row(&mut self, _: u32, out: &mut [u8]) {
            out.fill(128);
        }
    }

    fn inked(width: u32, height: u32, top: &[&str], bottom: &[&str]) -> Vec<u32> {
        let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let mut of = Grey(width, height);
        let mut shown = Annotated::new(&mut of, &own(top), &own(bottom));
        let mut line = vec![0; width as usize * 3];
        let mut rows = Vec::new();
        for y in 0..height {
            shown.row(y, &mut line);
            if line.contains(&255) {
                assert!(line.contains(&0), "white has a rim");
                rows.push(y);
            }
        }
        rows
    }

    #[test]
    fn words_are_where_they_belong() {
        assert_eq!(inked(200, 100, &[], &[]), [0u32; 0]);
        let rows = inked(200, 100, &["DAWN", "ID 1"], &["CT"]);
        assert!(rows.iter().all(|y| *y < 30 || *y > 80), "{rows:?}");
        assert!(rows.iter().any(|y| *y < 30) && rows.iter().any(|y| *y > 80), "{rows:?}");
    }

    #[test]
    fn a_text_of_any_length_takes_a_bounded_place() {
        let endless = vec!["X".repeat(500); 20_000];
        let block = Block::new(0, 0, 8, &endless);
        assert_eq!((block.columns, block.height), (LONGEST * LETTER + 2, (MOST_LINES * LINE + 2) * 8));
        assert_eq!(block.inks.len(), block.columns * (MOST_LINES * LINE + 2), "no more of it when it is drawn large");
        let mut pixels = vec![7; 16 * 4];
        stamp(&mut pixels, 16, 1, (usize::MAX, usize::MAX), 8, &endless);
        assert_eq!(pixels, [7; 64], "beyond the picture");
        stamp(&mut pixels, 16, 1, (0, 0), 2, &endless);
        assert!(pixels.contains(&0));
    }

    #[test]
    fn an_image_smaller_than_its_words_is_no_trouble() {
        let long = "X".repeat(500);
        inked(5, 3, &[&long], &[&long, "曙"]);
        assert!(!inked(30, 30, &["\u{10FFFF}"], &[]).is_empty(), "a box");
    }
}
