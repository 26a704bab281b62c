//! A slide is opened by its headers: what is read of it is counted.

use dicom::{ReadAt, Source};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use testkit::{Form, Made};

/// A file of many tiles that is nowhere: its bytes are made when they are read, and counted.
struct Slide {
    /// All before the first tile.
    head: Vec<u8>,
    /// One tile with its item header.
    tile: Vec<u8>,
    tiles: u64,
    /// All after the last tile.
    tail: Vec<u8>,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Slide {
    /// `before`: what stands before the pixel data; `table`: the value of the Basic Offset Table.
    fn new(mut before: Made, table: &[u8], tiles: u64, tile_bytes: usize) -> Slide {
        before.syntax = "1.2.840.10008.1.2.4.50";
        before.head(0x7FE0, 0x0010, "OB", u32::MAX);
        before.item(0xE000, table.len() as u32);
        before.body.extend_from_slice(table);
        let mut tile = Made::new(Form::Explicit);
        tile.item(0xE000, tile_bytes as u32);
        // SOI, SOF0 of 256 x 256 in one component, SOS, and no more (T.81 B.2).
        tile.body.extend_from_slice(&[0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8, 1, 0, 1, 0, 1, 1, 0x11, 0]);
        tile.body.extend_from_slice(&[0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        tile.body.resize(8 + tile_bytes - 2, 0x55);
        tile.body.extend_from_slice(&[0xFF, 0xD9]);
        let mut tail = Made::new(Form::Explicit);
        tail.item(0xE0DD, 0);
        Slide {
            head: before.file(),
            tile: tile.body,
            tiles,
            tail: tail.body,
            reads: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn headers(&self) -> u64 {
        self.head.len() as u64 + 8 * self.tiles + self.tail.len() as u64
    }

    fn byte(&self, at: u64) -> u8 {
        let Some(at) = at.checked_sub(self.head.len() as u64) else { return self.head[at as usize] };
        let each = self.tile.len() as u64;
        if at < each * self.tiles {
            self.tile[(at % each) as usize]
        } else {
            self.tail[(at - each * self.tiles) as usize]
        }
    }

    fn counted(&self) -> (u64, u64) {
        (self.reads.swap(0, Relaxed), self.bytes.swap(0, Relaxed))
    }
}

impl ReadAt for Slide {
    fn size(&self) -> u64 {
        self.head.len() as u64 + self.tile.len() as u64 * self.tiles + self.tail.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        if offset + buf.len() as u64 > self.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.reads.fetch_add(1, Relaxed);
        self.bytes.fetch_add(buf.len() as u64, Relaxed);
        (offset..).zip(buf).for_each(|(at, byte)| *byte = self.byte(at));
        Ok(())
    }
}

fn tiled(tiles: u64) -> Made {
    let mut made = Made::image(Form::Explicit, 256, 256, 8, 8, false);
    made.text(0x0028, 0x0008, "IS", &format!("{tiles:<8}"));
    made
}

fn opens_by_its_headers(slide: Slide) {
    let (headers, tiles) = (slide.headers(), slide.tiles);
    let slide = Arc::new(slide);
    let source = Source::from_reader(slide.clone()).unwrap();
    let (reads, bytes) = slide.counted();
    println!("{tiles} tiles, {headers} bytes of headers: {reads} reads of {bytes} bytes");
    assert!(bytes * 100 <= headers * 102, "{bytes} bytes read of {headers} bytes of headers");
    // The head in large pieces, then one read a tile.
    let pieces = slide.head.len() as u64 / (16 << 10) + 8;
    assert!(reads <= tiles + pieces, "{reads} reads for {tiles} tiles and {pieces} pieces of the head");
    source.check_frames().unwrap();
    assert_eq!(source.frames().len() as u64, tiles);
    let mut tile = Vec::new();
    source.read_frame(tiles as u32 - 1, &mut tile).unwrap();
    assert_eq!(tile, slide.tile[8..]);
    assert_eq!(slide.counted(), (1, tile.len() as u64));
}

/// 120,000 tiles in the order that TILED_FULL has, behind a Basic Offset Table.
#[test]
fn a_slide_with_a_basic_offset_table() {
    let (tiles, each) = (120_000, 6_000);
    let table: Vec<u8> = (0..tiles as u32).flat_map(|n| (n * (each as u32 + 8)).to_le_bytes()).collect();
    opens_by_its_headers(Slide::new(tiled(tiles), &table, tiles, each));
}

/// 20,000 tiles, each with its place in the Per-Frame Functional Groups Sequence, behind an Extended Offset Table.
#[test]
fn a_slide_with_functional_groups_and_an_extended_offset_table() {
    let (tiles, each) = (20_000, 12_440);
    let mut made = tiled(tiles);
    made.head(0x5200, 0x9230, "SQ", u32::MAX);
    for n in 0..tiles {
        made.item(0xE000, u32::MAX);
        made.head(0x0020, 0x9111, "SQ", u32::MAX);
        made.item(0xE000, u32::MAX);
        for (value, element) in [(n % 200 + 1, 0x9157), (n / 200 + 1, 0x9128)] {
            made.element(0x0020, element, "UL", &(value as u32).to_le_bytes());
        }
        made.item(0xE00D, 0).item(0xE0DD, 0);
        made.head(0x0048, 0x021A, "SQ", u32::MAX);
        made.item(0xE000, u32::MAX);
        for (element, value) in [(0x072A, n % 200), (0x073A, n / 200)] {
            made.text(0x0040, element, "DS", &format!("{:<16}", value as f64 * 0.25));
        }
        for (element, value) in [(0x021E, n % 200 * 256 + 1), (0x021F, n / 200 * 256 + 1)] {
            made.element(0x0048, element, "SL", &(value as u32).to_le_bytes());
        }
        made.item(0xE00D, 0).item(0xE0DD, 0).item(0xE00D, 0);
    }
    made.item(0xE0DD, 0);
    let offsets: Vec<u8> = (0..tiles).flat_map(|n| (n * (each as u64 + 8)).to_le_bytes()).collect();
    made.element(0x7FE0, 0x0001, "OV", &offsets);
    let lengths: Vec<u8> = (0..tiles).flat_map(|_| (each as u64).to_le_bytes()).collect();
    made.element(0x7FE0, 0x0002, "OV", &lengths);
    opens_by_its_headers(Slide::new(made, &[], tiles, each));
}
