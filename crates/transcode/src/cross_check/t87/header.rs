//! Marker segments (T.87 Annex C; T.81 B.1 and B.2).

use super::{Picture, Plane, Result};

/// Reads segments up to each scan.
pub(super) struct Header<'a> {
    stream: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    presets: Presets,
    /// Lines between restart markers; 0: none.
    restart: u32,
}

/// What comes next.
pub(super) enum Segment {
    Scan(ScanHeader),
    End,
}

/// SOF55 (C.2.2).
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) precision: u8,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
}

/// A component and its sampling factors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    id: u8,
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
}

/// LSE of type 1 (C.2.4.1.1); 0 stands for the default.
#[derive(Debug, Clone, Copy, Default)]
struct Presets {
    maxval: i32,
    thresholds: [i32; 3],
    reset: i32,
}

/// How the components of a scan are mixed (C.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interleave {
    None,
    Line,
    Sample,
}

/// SOS (C.2.3), and what else it needs.
#[derive(Debug, Clone)]
pub(super) struct ScanHeader {
    /// Places in the frame header.
    pub(super) components: Vec<usize>,
    pub(super) interleave: Interleave,
    pub(super) restart: u32,
    pub(super) parameters: Parameters,
}

/// The variables of A.2.1 and C.2.4.1.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) near: i32,
    pub(super) maxval: i32,
    pub(super) thresholds: [i32; 3],
    pub(super) reset: u32,
    /// How many values a prediction error has.
    pub(super) range: i32,
    /// Bits of such a value.
    pub(super) qbpp: u32,
    /// The longest code.
    pub(super) limit: u32,
}

impl<'a> Header<'a> {
    pub(super) fn new(stream: &'a [u8]) -> Result<Header<'a>> {
        if !stream.starts_with(&[0xFF, 0xD8]) {
            return Err("the stream does not begin with SOI".into());
        }
        Ok(Header { stream, at: 2, frame: None, presets: Presets::default(), restart: 0 })
    }

    /// The frame header, which comes before any scan.
    pub(super) fn frame(&self) -> Result<&Frame> {
        self.frame.as_ref().ok_or_else(|| "a scan without a frame header".into())
    }

    /// What is not read yet: after SOS, its coded data.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.stream[self.at..]
    }

    /// Goes on behind coded data.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads up to the end of the next scan's header.
    pub(super) fn next(&mut self) -> Result<Segment> {
        loop {
            let marker = self.marker()?;
            if marker == 0xD9 {
                return Ok(Segment::End);
            }
            let body = self.body()?;
            match marker {
                0xF7 if self.frame.is_none() => self.frame = Some(Frame::read(body)?),
                0xF7 => return Err("two frame headers".into()),
                0xF8 => self.presets(body)?,
                0xDD => self.restart = restart_interval(body)?,
                0xDA => return self.scan(body).map(Segment::Scan),
                0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return Err("this is no JPEG-LS".into()),
                // A colour transform of HP, which is not of the standard, and which a decoder would have to undo.
                0xE8 if body.starts_with(b"mrfx") && body.get(4).is_some_and(|kind| *kind != 0) => {
                    return Err("there is a colour transform".into());
                }
                0xE0..=0xEF | 0xFE | 0xDC => {}
                other => return Err(format!("an unknown marker FF{other:02X}")),
            }
        }
    }

    /// The next marker (T.81 B.1.1.2). Zero bytes before it are passed over: some writers fill the coded data up.
    fn marker(&mut self) -> Result<u8> {
        let rest = self.rest();
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        let fill = rest[zeros..].iter().take_while(|byte| **byte == 0xFF).count();
        let code = rest.get(zeros + fill).copied().ok_or("the stream is cut short")?;
        if fill == 0 || code == 0 {
            return Err("there is no marker where one should be".into());
        }
        self.at += zeros + fill + 1;
        Ok(code)
    }

    fn body(&mut self) -> Result<&'a [u8]> {
        let rest = self.rest();
        let body = match rest {
            [a, b, ..] => rest.get(2..usize::from(u16::from_be_bytes([*a, *b]))),
            _ => None,
        };
        let body = body.ok_or("a marker segment is cut short")?;
        self.at += 2 + body.len();
        Ok(body)
    }

    /// C.2.4.
    fn presets(&mut self, body: &[u8]) -> Result<()> {
        match body {
            [1, words @ ..] if words.len() == 10 => {
                let word = |n: usize| i32::from(u16::from_be_bytes([words[2 * n], words[2 * n + 1]]));
                self.presets = Presets { maxval: word(0), thresholds: [word(1), word(2), word(3)], reset: word(4) };
                Ok(())
            }
            [2 | 3, ..] => Err("mapping tables are not decoded".into()),
            _ => Err("preset parameters that are not of the standard".into()),
        }
    }

    /// C.2.3.
    fn scan(&self, body: &[u8]) -> Result<ScanHeader> {
        let frame = self.frame()?;
        let count = usize::from(*body.first().ok_or("an empty scan header")?);
        let [near, interleave, transform] = body.get(1 + 2 * count..).unwrap_or_default() else {
            return Err("a scan header of a wrong length".into());
        };
        let interleave = match interleave {
            0 => Interleave::None,
            1 => Interleave::Line,
            2 => Interleave::Sample,
            _ => return Err("an unknown interleaving".into()),
        };
        if !(1..=4).contains(&count) || count > 1 && interleave == Interleave::None {
            return Err(format!("{count} components in one scan"));
        }
        if transform & 0x0F != 0 {
            return Err("there is a point transform".into());
        }
        let mut components = Vec::new();
        for selector in body[1..].as_chunks::<2>().0.iter().take(count) {
            if selector[1] != 0 {
                return Err("mapping tables are not decoded".into());
            }
            let place = frame.components.iter().position(|component| component.id == selector[0]);
            let place = place.ok_or("a scan of a component that the frame has not")?;
            if components.contains(&place) {
                return Err("a component is there twice".into());
            }
            components.push(place);
        }
        let same = |n: &usize| (frame.components[*n].horizontal, frame.components[*n].vertical) == (1, 1);
        if interleave == Interleave::Sample && count > 1 && !components.iter().all(same) {
            return Err("sub-sampled components are mixed by sample".into());
        }
        let parameters = Parameters::new(frame.precision, (*near).into(), &self.presets)?;
        Ok(ScanHeader { components, interleave, restart: self.restart, parameters })
    }
}

impl Frame {
    fn read(body: &[u8]) -> Result<Frame> {
        let [precision, y0, y1, x0, x1, count, components @ ..] = body else {
            return Err("the frame header is cut short".into());
        };
        let (height, width) = (u16::from_be_bytes([*y0, *y1]).into(), u16::from_be_bytes([*x0, *x1]).into());
        if !(2..=16).contains(precision) {
            return Err(format!("samples of {precision} bits"));
        }
        if width == 0 || height == 0 {
            return Err(format!("{width} x {height} pixels"));
        }
        if *count == 0 || components.len() != 3 * usize::from(*count) {
            return Err("a frame header of a wrong length".into());
        }
        let component = |bytes: &[u8; 3]| Component {
            id: bytes[0],
            horizontal: (bytes[1] >> 4).into(),
            vertical: (bytes[1] & 15).into(),
        };
        let components: Vec<Component> = components.as_chunks().0.iter().map(component).collect();
        if components.iter().any(|c| !(1..=4).contains(&c.horizontal) || !(1..=4).contains(&c.vertical)) {
            return Err("a sampling factor that is none".into());
        }
        Ok(Frame { precision: *precision, width, height, components })
    }

    /// The planes (T.81 A.1.1), once they are known to be of no more than so many samples.
    pub(super) fn blank(&self, most_samples: usize) -> Result<Picture> {
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        let (horizontal, vertical) = (most(|c| c.horizontal), most(|c| c.vertical));
        let size = |c: &Component| {
            ((self.width * c.horizontal).div_ceil(horizontal), (self.height * c.vertical).div_ceil(vertical))
        };
        let told: usize = self.components.iter().map(size).map(|(width, height)| width * height).sum();
        if told > most_samples {
            return Err(format!("{told} samples where {most_samples} should be"));
        }
        let plane = |(width, height)| Plane { width, height, samples: Vec::with_capacity(width * height) };
        Ok(Picture { precision: self.precision, planes: self.components.iter().map(size).map(plane).collect() })
    }
}

impl Parameters {
    /// Defaults and bounds of C.2.4.1.1.1, and the variables of A.2.1.
    fn new(precision: u8, near: i32, presets: &Presets) -> Result<Parameters> {
        let highest = (1 << precision) - 1;
        let or = |told: i32, default: i32| if told == 0 { default } else { told };
        let maxval = or(presets.maxval, highest);
        if maxval > highest || near > 255.min(maxval / 2) {
            return Err(format!("MAXVAL {maxval} and NEAR {near} with {precision} bits"));
        }
        let clamp = |i: i32, j: i32| if i > maxval || i < j { j } else { i };
        // The n-th threshold by what is BASIC_T1 to BASIC_T3 there, and what NEAR is multiplied by.
        let basic = |least: i32, basic: i32, times: i32| match maxval {
            128.. => (maxval.min(4095) + 128) / 256 * (basic - least) + least + times * near,
            _ => least.max(basic / (256 / (maxval + 1)) + times * near),
        };
        let first = or(presets.thresholds[0], clamp(basic(2, 3, 3), near + 1));
        let second = or(presets.thresholds[1], clamp(basic(3, 7, 5), first));
        let third = or(presets.thresholds[2], clamp(basic(4, 21, 7), second));
        let reset = or(presets.reset, 64);
        let ordered = near < first && first <= second && second <= third && third <= maxval;
        if !ordered || !(3..=255.max(maxval)).contains(&reset) {
            return Err("preset parameters that are not of the standard".into());
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits = |values: i32| 32 - (values - 1).leading_zeros();
        let bpp = bits(maxval + 1).max(2);
        Ok(Parameters {
            near,
            maxval,
            thresholds: [first, second, third],
            reset: reset as u32,
            range,
            qbpp: bits(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }
}

/// C.2.5: in 2 to 4 bytes. An interval is of lines (of sub-sampled components, of the most lines that belong together).
fn restart_interval(body: &[u8]) -> Result<u32> {
    if !(2..=4).contains(&body.len()) {
        return Err("a restart interval of a wrong length".into());
    }
    Ok(body.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
}
