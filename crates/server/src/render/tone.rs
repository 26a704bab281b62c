//! What the attributes ask for: Modality, VOI, polarity, palette (PS3.3 C.11.1, C.11.2, C.7.6.3, C.7.6.16.2.9-10).

use super::lut::{Lut, Palette};
use dicom::{DataSet, Element, Facts, Pixels, Source, Tag, Vr};

/// How window values are mapped (VOI LUT Function, PS3.3 C.11.2.1.2-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    /// LINEAR, the default.
    #[default]
    Linear,
    /// LINEAR_EXACT.
    LinearExact,
    /// SIGMOID.
    Sigmoid,
}

/// A window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Window Center.
    pub center: f64,
    /// Window Width.
    pub width: f64,
    /// VOI LUT Function.
    pub function: Function,
}

impl Window {
    /// The display value, 0 to 1, of a modality value.
    pub fn map(&self, x: f64) -> f64 {
        let (c, w) = (self.center, self.width);
        let y = match self.function {
            // The formula of LINEAR ends at a width of 1; a narrower one, of small slopes, was meant to be exact.
            Function::Linear if w == 1.0 => f64::from(u8::from(x > c - 0.5)),
            Function::Linear if w > 1.0 => (x - (c - 0.5)) / (w - 1.0) + 0.5,
            Function::Linear | Function::LinearExact if w > 0.0 => (x - c) / w + 0.5,
            Function::Linear | Function::LinearExact => f64::from(u8::from(x > c)),
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (x - c) / w.max(f64::MIN_POSITIVE)).exp()),
        };
        y.clamp(0.0, 1.0)
    }
}

/// From stored values to modality values.
#[derive(Debug, Clone, PartialEq)]
pub enum Modality {
    /// Rescale Slope and Intercept.
    Linear {
        /// Slope.
        slope: f64,
        /// Intercept.
        intercept: f64,
    },
    /// Modality LUT.
    Table(Lut),
}

impl Modality {
    /// The modality value of a stored value.
    pub fn map(&self, stored: f64) -> f64 {
        match self {
            Modality::Linear { slope, intercept } => stored * slope + intercept,
            Modality::Table(lut) => lut.map(stored as i64).into(),
        }
    }
}

/// From modality values to display values.
#[derive(Debug, Clone, PartialEq)]
pub enum Voi {
    /// From the least value of the image to its greatest.
    Extent,
    /// A window.
    Window(Window),
    /// A VOI LUT.
    Table(Lut),
}

/// How the samples are coloured.
#[derive(Debug, Clone, PartialEq)]
pub enum Colour {
    /// One sample of brightness.
    Grey,
    /// Three samples are the colour.
    Samples,
    /// An index into red, green and blue tables.
    Palette(Box<Palette>),
}

/// All that is needed to show the samples of a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Tone {
    /// Stored to modality values.
    pub modality: Modality,
    /// Modality to display values.
    pub voi: Voi,
    /// The least value is shown white.
    pub inverted: bool,
    /// Stored values from the first to the second, both included, are no image.
    pub padding: Option<(f64, f64)>,
    /// The samples name segments.
    pub labels: bool,
    /// How the samples are coloured.
    pub colour: Colour,
}

impl Tone {
    /// Is a stored value no image?
    pub fn is_padding(&self, stored: f64) -> bool {
        self.padding.is_some_and(|(from, to)| (from..=to).contains(&stored))
    }
}

/// What a presentation state says of the tone of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Imposed {
    /// Stored to modality values, in place of the image's own.
    pub modality: Option<Modality>,
    /// Modality to display values.
    pub voi: Voi,
    /// The least value is shown white.
    pub inverted: bool,
}

/// Segmentation and Label Map Segmentation Storage.
const SEGMENTATIONS: [&str; 2] = ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"];
/// CT Image Storage, whose rescaled values may always be negative (PS3.3 C.11.2.1.1).
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

/// The attributes of an instance.
pub struct Attributes<'a> {
    set: &'a DataSet,
    facts: &'a Facts,
}

impl<'a> Attributes<'a> {
    /// Those of a source.
    pub fn of(source: &'a Source) -> Attributes<'a> {
        Attributes { set: source.data_set(), facts: source.facts() }
    }

    /// The tone of frame `frame` (from 0).
    pub fn tone(&self, frame: u32) -> Tone {
        let top = self.set.elements();
        let photometric = self.facts.photometric.as_str();
        let shape = self.string(top, Tag(0x2050, 0x0020)).unwrap_or_default();
        let modality = self.modality(frame);
        let voi = self.voi(frame, &modality);
        Tone {
            modality,
            voi,
            inverted: (photometric == "MONOCHROME1") != (shape == "INVERSE" && photometric == "MONOCHROME2")
                && !photometric.is_empty(),
            padding: self.padding(),
            labels: self.labels(),
            colour: self.colour(),
        }
    }

    /// What `state` says of the tone of `image`. It has a say in polarity whatever the image's photometric interpretation (PS3.4 N.2); a
    /// state without a VOI for the image shows all values that there can be.
    pub fn imposed(state: &Source, image: &Source) -> Imposed {
        let of = Attributes { set: state.data_set(), facts: image.facts() };
        let top = of.set.elements();
        let has_modality = find(top, Tag(0x0028, 0x3000)).is_some() || find(top, Tag(0x0028, 0x1052)).is_some();
        let modality = has_modality.then(|| of.modality(0));
        let used = modality.clone().unwrap_or_else(|| Attributes::of(image).modality(0));
        let items = find(top, Tag(0x0028, 0x3110)).and_then(Element::items).unwrap_or_default();
        let about = |set: &[Element]| {
            let named = find(set, Tag(0x0008, 0x1140)).and_then(Element::items).unwrap_or_default();
            let uid = |item: &dicom::Item| of.string(&item.elements, Tag(0x0008, 0x1155));
            named.is_empty() || named.iter().any(|item| uid(item).as_deref() == Some(&image.facts().sop_instance_uid))
        };
        let mut sets = items.iter().map(|item| item.elements.as_slice()).filter(|set| about(set));
        let voi = sets.find_map(|set| of.window(set).map(Voi::Window).or_else(|| of.table(set, &used)));
        let (least, greatest) = of.stored_range();
        let ends = (used.map(least), used.map(greatest));
        let (low, width) = (ends.0.min(ends.1), (ends.1 - ends.0).abs());
        let all = Window { center: low + width / 2.0, width: width.max(1.0), function: Function::LinearExact };
        let inverted = of.string(top, Tag(0x2050, 0x0020)).as_deref() == Some("INVERSE");
        Imposed { modality, voi: voi.unwrap_or(Voi::Window(all)), inverted }
    }

    fn colour(&self) -> Colour {
        match self.facts.photometric.as_str() {
            "PALETTE COLOR" => self.palette().map_or(Colour::Grey, |palette| Colour::Palette(Box::new(palette))),
            _ if self.facts.samples < 3 => Colour::Grey,
            _ => Colour::Samples,
        }
    }

    fn palette(&self) -> Option<Palette> {
        let top = self.set.elements();
        let element = |base: u16, n: u16| find(top, Tag(0x0028, base + n));
        let bytes = |base, n| self.set.bytes_le(element(base, n)?).ok().filter(|bytes| !bytes.is_empty());
        let descriptor = |n| self.descriptor(element(0x1100, n)?);
        // The three are alike (C.7.6.3.1.5): one that lacks its own takes that of red.
        let stated = descriptor(1)?;
        let lut = |n| {
            let descriptor = self.stored_input(descriptor(n).unwrap_or(stated));
            let plain = bytes(0x1200, n).and_then(|data| Lut::new(descriptor, &data));
            plain.or_else(|| Lut::from_segments(descriptor, &bytes(0x1220, n)?))
        };
        Some(Palette::new([lut(1)?, lut(2)?, lut(3)?], stated[2]))
    }

    fn labels(&self) -> bool {
        let segmentation = SEGMENTATIONS.contains(&self.facts.sop_class_uid.as_str());
        // A fractional one holds shares of a segment, which have means (C.8.20.2.3).
        segmentation && self.string(self.set.elements(), Tag(0x0062, 0x0001)).as_deref() != Some("FRACTIONAL")
    }

    fn modality(&self, frame: u32) -> Modality {
        let top = self.set.elements();
        let group = self.functional_group(frame, Tag(0x0028, 0x9145));
        let table = [group, Some(top)].into_iter().flatten().find_map(|set| first_item(set, Tag(0x0028, 0x3000)));
        let lut = table.and_then(|item| self.lut(item, |descriptor| self.stored_input(descriptor)));
        if let Some(lut) = lut {
            return Modality::Table(lut);
        }
        let number = |tag| group.and_then(|set| self.number(set, tag)).or_else(|| self.number(top, tag));
        let slope = number(Tag(0x0028, 0x1053)).filter(|slope| *slope != 0.0).unwrap_or(1.0);
        Modality::Linear { slope, intercept: number(Tag(0x0028, 0x1052)).unwrap_or(0.0) }
    }

    fn voi(&self, frame: u32, modality: &Modality) -> Voi {
        let sets = [self.functional_group(frame, Tag(0x0028, 0x9132)), Some(self.set.elements())];
        let voi = sets
            .into_iter()
            .flatten()
            .find_map(|set| self.window(set).map(Voi::Window).or_else(|| self.table(set, modality)));
        voi.unwrap_or(Voi::Extent)
    }

    /// The first window that has a width.
    fn window(&self, set: &[Element]) -> Option<Window> {
        let function = match self.string(set, Tag(0x0028, 0x1056)).as_deref() {
            Some("SIGMOID") => Function::Sigmoid,
            Some("LINEAR_EXACT") => Function::LinearExact,
            _ => Function::Linear,
        };
        let numbers = |tag| find(set, tag).map(|element| self.numbers(element)).unwrap_or_default();
        let pairs = numbers(Tag(0x0028, 0x1050)).into_iter().zip(numbers(Tag(0x0028, 0x1051)));
        let mut windows = pairs.map(|(center, width)| Window { center, width, function });
        windows.find(|window| window.center.is_finite() && window.width.is_finite() && window.width > 0.0)
    }

    fn table(&self, set: &[Element], modality: &Modality) -> Option<Voi> {
        let item = first_item(set, Tag(0x0028, 0x3010))?;
        self.lut(item, |descriptor| self.modality_input(descriptor, modality)).map(Voi::Table)
    }

    /// The least and the greatest stored value that there can be.
    fn stored_range(&self) -> (f64, f64) {
        let all = 2f64.powi(self.facts.bits_stored.clamp(1, 64).into());
        if self.facts.signed { (-all / 2.0, all / 2.0 - 1.0) } else { (0.0, all - 1.0) }
    }

    /// The descriptor of a table whose input is stored values: the first of them has the sign of the samples (C.11.1.1, C.7.6.3.1.5).
    fn stored_input(&self, descriptor: [i64; 3]) -> [i64; 3] {
        first_input(descriptor, self.facts.signed, self.stored_range())
    }

    /// The descriptor of a table behind a modality transformation: the first input is signed if what comes out there can be negative,
    /// whatever VR it was written in (C.11.2.1.1).
    fn modality_input(&self, descriptor: [i64; 3], modality: &Modality) -> [i64; 3] {
        match modality {
            Modality::Table(_) => first_input(descriptor, false, (0.0, 65535.0)),
            Modality::Linear { slope: 1.0, intercept: 0.0 } if self.facts.sop_class_uid != CT => {
                self.stored_input(descriptor)
            }
            Modality::Linear { .. } => {
                let (least, greatest) = self.stored_range();
                let ends = (modality.map(least), modality.map(greatest));
                let range = (ends.0.min(ends.1), ends.0.max(ends.1));
                first_input(descriptor, range.0 < 0.0 || self.facts.sop_class_uid == CT, range)
            }
        }
    }

    fn padding(&self) -> Option<(f64, f64)> {
        let top = self.set.elements();
        let value = |tag| self.numbers(find(top, tag)?).into_iter().next();
        let (value, limit) = match (self.facts.pixels, self.facts.bits_allocated) {
            (Pixels::Float, 32) => (value(Tag(0x0028, 0x0122))?, value(Tag(0x0028, 0x0124))),
            (Pixels::Float, _) => (value(Tag(0x0028, 0x0123))?, value(Tag(0x0028, 0x0125))),
            // They have the sign of the samples, whatever VR they were written in (C.7.5.1.1.2).
            _ => {
                let sign = |value| first_input([0, value as i64, 0], self.facts.signed, self.stored_range())[1] as f64;
                (sign(value(Tag(0x0028, 0x0120))?), value(Tag(0x0028, 0x0121)).map(sign))
            }
        };
        let limit = limit.unwrap_or(value);
        Some((value.min(limit), value.max(limit)))
    }

    fn lut(&self, item: &[Element], input: impl Fn([i64; 3]) -> [i64; 3]) -> Option<Lut> {
        let descriptor = self.descriptor(find(item, Tag(0x0028, 0x3002))?)?;
        let data = self.set.bytes_le(find(item, Tag(0x0028, 0x3006))?).ok()?;
        Lut::new(input(descriptor), &data)
    }

    /// The first item of a functional group macro of a frame: per frame (5200,9230), else shared (5200,9229).
    fn functional_group(&self, frame: u32, tag: Tag) -> Option<&'a [Element]> {
        let top = self.set.elements();
        let per_frame = nth_item(top, Tag(0x5200, 0x9230), frame as usize).and_then(|groups| first_item(groups, tag));
        per_frame.or_else(|| first_item(first_item(top, Tag(0x5200, 0x9229))?, tag))
    }

    fn string(&self, set: &[Element], tag: Tag) -> Option<String> {
        self.set.text(find(set, tag)?).into_iter().next()
    }

    /// The first number.
    fn number(&self, set: &[Element], tag: Tag) -> Option<f64> {
        self.numbers(find(set, tag)?).into_iter().next().filter(|number| number.is_finite())
    }

    /// The three values of a LUT Descriptor, 16-bit ones as unsigned numbers.
    fn descriptor(&self, element: &Element) -> Option<[i64; 3]> {
        let numbers = self.numbers(element);
        Some([*numbers.first()? as i64, *numbers.get(1)? as i64, *numbers.get(2)? as i64])
    }

    /// The numbers of an element. US, SS and what may be either come unsigned: who asks knows the sign.
    fn numbers(&self, element: &Element) -> Vec<f64> {
        let Ok(bytes) = self.set.bytes_le(element) else { return Vec::new() };
        match element.known_vr() {
            Vr::US | Vr::SS | Vr::OW | Vr::OB | Vr::UN => all(&bytes, |b| u16::from_le_bytes(b).into()),
            Vr::UL => all(&bytes, |b| u32::from_le_bytes(b).into()),
            Vr::SL => all(&bytes, |b| i32::from_le_bytes(b).into()),
            Vr::FL => all(&bytes, |b| f32::from_le_bytes(b).into()),
            Vr::FD => all(&bytes, f64::from_le_bytes),
            _ => self.set.text(element).iter().map(|text| text.trim().parse().unwrap_or(f64::NAN)).collect(),
        }
    }
}

/// A descriptor whose first input has its sign. By the rule it is signed or not; where the table then lies beside all values that
/// there can be, and does not in the other reading, the writer meant the other.
fn first_input(descriptor: [i64; 3], signed: bool, range: (f64, f64)) -> [i64; 3] {
    let [entries, first, bits] = descriptor;
    if !(0x8000..=0xFFFF).contains(&first) {
        return descriptor;
    }
    let readings = if signed { [first - 0x1_0000, first] } else { [first, first - 0x1_0000] };
    let last = |first: i64| first + if entries == 0 { 0xFFFF } else { entries - 1 };
    let meets = |first: &i64| *first as f64 <= range.1 && last(*first) as f64 >= range.0;
    let first = readings.into_iter().find(meets).unwrap_or(readings[0]);
    [entries, first, bits]
}

fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|b| number(*b)).collect()
}

fn find(set: &[Element], tag: Tag) -> Option<&Element> {
    set.iter().find(|element| element.tag == tag)
}

fn nth_item(set: &[Element], tag: Tag, n: usize) -> Option<&[Element]> {
    find(set, tag)?.items()?.get(n).map(|item| item.elements.as_slice())
}

fn first_item(set: &[Element], tag: Tag) -> Option<&[Element]> {
    nth_item(set, tag, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data set in Explicit VR Little Endian, element by element.
    #[derive(Clone, Default)]
    struct Made(Vec<u8>);

    impl Made {
        fn new(class: &str) -> Made {
            Made::default().text(Tag(0x0008, 0x0016), "UI", class)
        }

        fn element(mut self, tag: Tag, vr: &str, value: &[u8]) -> Made {
            self.0.extend(tag.0.to_le_bytes());
            self.0.extend(tag.1.to_le_bytes());
            self.0.extend(vr.as_bytes());
            match vr {
                "OW" | "OB" | "SQ" | "UN" => self.0.extend([&[0, 0], &(value.len() as u32).to_le_bytes()[..]].concat()),
                _ => self.0.extend((value.len() as u16).to_le_bytes()),
            }
            self.0.extend(value);
            self
        }

        fn text(self, tag: Tag, vr: &str, value: &str) -> Made {
            let pad = if vr == "UI" { "\0" } else { " " };
            let value = if value.len() % 2 == 1 { format!("{value}{pad}") } else { value.to_owned() };
            self.element(tag, vr, value.as_bytes())
        }

        fn words(self, tag: Tag, vr: &str, words: &[u16]) -> Made {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            self.element(tag, vr, &bytes)
        }

        fn items(self, tag: Tag, items: &[Made]) -> Made {
            let item = |of: &Made| [&[0xFE, 0xFF, 0x00, 0xE0], &(of.0.len() as u32).to_le_bytes()[..], &of.0].concat();
            let value: Vec<u8> = items.iter().flat_map(item).collect();
            self.element(tag, "SQ", &value)
        }

        /// One sample of 16 bits.
        fn grey(self, signed: bool) -> Made {
            self.text(Tag(0x0028, 0x0004), "CS", "MONOCHROME2")
                .words(Tag(0x0028, 0x0100), "US", &[16])
                .words(Tag(0x0028, 0x0101), "US", &[16])
                .words(Tag(0x0028, 0x0102), "US", &[15])
                .words(Tag(0x0028, 0x0103), "US", &[signed.into()])
        }

        fn window(self, center: &str, width: &str) -> Made {
            self.text(Tag(0x0028, 0x1050), "DS", center).text(Tag(0x0028, 0x1051), "DS", width)
        }

        fn rescale(self, intercept: &str, slope: &str) -> Made {
            self.text(Tag(0x0028, 0x1052), "DS", intercept).text(Tag(0x0028, 0x1053), "DS", slope)
        }

        /// A VOI LUT of 4096 entries whose first input is `first`.
        fn voi_lut(self, vr: &str, first: u16) -> Made {
            let lut = Made::default().words(Tag(0x0028, 0x3002), vr, &[4096, first, 16]).words(
                Tag(0x0028, 0x3006),
                "OW",
                &(0..4096).map(|n| n * 16).collect::<Vec<u16>>(),
            );
            self.items(Tag(0x0028, 0x3010), &[lut])
        }

        fn tone(self, frame: u32) -> Tone {
            Attributes::of(&Source::from_bytes(self.0).unwrap()).tone(frame)
        }
    }

    const DX: &str = "1.2.840.10008.5.1.4.1.1.1.1";

    fn first(tone: Tone) -> i64 {
        match tone.voi {
            Voi::Table(lut) => lut.first,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn windows_of_the_standard() {
        // PS3.3 C.11.2.1.2.1: c 2048, w 4096 maps 0 to the least and 4095 to the greatest; c 2048, w 1 is a threshold.
        let linear = Window { center: 2048.0, width: 4096.0, function: Function::Linear };
        assert_eq!((linear.map(0.0), linear.map(4095.0)), (0.0, 1.0));
        let threshold = Window { center: 2048.0, width: 1.0, function: Function::Linear };
        assert_eq!((threshold.map(2047.0), threshold.map(2048.0)), (0.0, 1.0));
        let exact = Window { center: 2048.0, width: 4096.0, function: Function::LinearExact };
        assert_eq!((exact.map(0.0), exact.map(2048.0), exact.map(4096.0)), (0.0, 0.5, 1.0));
        let sigmoid = Window { center: 10.0, width: 4.0, function: Function::Sigmoid };
        assert!((sigmoid.map(10.0) - 0.5).abs() < 1e-12 && sigmoid.map(14.0) > 0.98);
    }

    #[test]
    fn a_window_narrower_than_1_is_exact() {
        let narrow = Window { center: 0.5, width: 0.5, function: Function::Linear };
        assert_eq!([0.0, 0.25, 0.5, 0.625, 0.75, 1.0].map(|x| narrow.map(x)), [0.0, 0.0, 0.5, 0.75, 1.0, 1.0]);
        let none = Window { center: 0.5, width: -1.0, function: Function::Linear };
        assert_eq!([0.5, 0.6].map(|x| none.map(x)), [0.0, 1.0]);
    }

    #[test]
    fn attributes_are_read() {
        let tone = Made::new(DX)
            .text(Tag(0x0028, 0x0004), "CS", "MONOCHROME1")
            .words(Tag(0x0028, 0x0101), "US", &[16])
            .words(Tag(0x0028, 0x0103), "US", &[1])
            .words(Tag(0x0028, 0x0120), "SS", &[-2000i16 as u16])
            .window("40\\80", "400\\1")
            .rescale("-1024", "2")
            .tone(0);
        assert!(tone.inverted && !tone.labels);
        assert_eq!(tone.voi, Voi::Window(Window { center: 40.0, width: 400.0, function: Function::Linear }));
        assert_eq!(tone.modality.map(1.0), -1022.0);
        assert_eq!(tone.padding, Some((-2000.0, -2000.0)));
        assert_eq!(tone.colour, Colour::Grey);
    }

    #[test]
    fn a_window_without_a_width_is_none() {
        let voi = |center, width| Made::new(DX).grey(false).window(center, width).tone(0).voi;
        assert_eq!(voi("40", "0"), Voi::Extent);
        assert_eq!(voi("40", "-5"), Voi::Extent);
        assert_eq!(voi("40", ""), Voi::Extent);
        let second = Window { center: 50.0, width: 10.0, function: Function::Linear };
        assert_eq!(voi("40\\50", "0\\10"), Voi::Window(second));
        let table = Made::new(DX).grey(false).window("40", "0").voi_lut("US", 7);
        assert_eq!(first(table.tone(0)), 7);
    }

    #[test]
    fn functional_groups_come_per_frame_then_shared() {
        let window = |center: &str| Made::default().items(Tag(0x0028, 0x9132), &[Made::default().window(center, "10")]);
        let shared = window("2").items(Tag(0x0028, 0x9145), &[Made::default().rescale("5", "1")]);
        let of = Made::new(DX)
            .grey(false)
            .items(Tag(0x5200, 0x9229), &[shared])
            .items(Tag(0x5200, 0x9230), &[window("1"), Made::default()]);
        let center = |frame| match of.clone().tone(frame).voi {
            Voi::Window(window) => window.center,
            other => panic!("{other:?}"),
        };
        assert_eq!((center(0), center(1)), (1.0, 2.0));
        assert_eq!(of.clone().tone(0).modality.map(1.0), 6.0);
        let table = Made::default().items(Tag(0x0028, 0x9132), &[Made::default().voi_lut("US", 9)]);
        assert_eq!(first(Made::new(DX).grey(false).items(Tag(0x5200, 0x9230), &[table]).tone(0)), 9);
    }

    /// PS3.3 C.11.2.1.1: the sign of the first input is that of what comes into the table, whatever VR stands there.
    #[test]
    fn the_first_input_of_a_voi_lut() {
        let (high, low) = (40000, -1024i16 as u16);
        for vr in ["US", "SS"] {
            let plain = |signed, raw| first(Made::new(DX).grey(signed).voi_lut(vr, raw).tone(0));
            assert_eq!((plain(false, high), plain(true, low)), (40000, -1024), "{vr}: no modality transformation");
            let rescaled =
                |intercept, raw| first(Made::new(DX).grey(false).rescale(intercept, "1").voi_lut(vr, raw).tone(0));
            assert_eq!((rescaled("-1024", low), rescaled("10", high)), (-1024, 40000), "{vr}: after a rescale");
            assert_eq!(rescaled("-0.5", high), 40000, "{vr}: a table beside all values is read the other way");
            let ct = Made::new(CT).grey(false).rescale("0", "1").voi_lut(vr, low);
            assert_eq!(first(ct.tone(0)), -1024, "{vr}: CT is signed");
            let table = Made::default().words(Tag(0x0028, 0x3002), vr, &[2, 0, 16]).words(
                Tag(0x0028, 0x3006),
                "OW",
                &[40000, 44000],
            );
            let both = Made::new(DX).grey(true).items(Tag(0x0028, 0x3000), &[table]).voi_lut(vr, high);
            assert_eq!(first(both.tone(0)), 40000, "{vr}: what a Modality LUT gives is unsigned");
        }
    }

    #[test]
    fn the_first_input_of_a_modality_lut_has_the_sign_of_the_samples() {
        let lut = |vr| {
            Made::default().words(Tag(0x0028, 0x3002), vr, &[2, -2i16 as u16, 16]).words(
                Tag(0x0028, 0x3006),
                "US",
                &[7, 9],
            )
        };
        let map = |signed, vr, stored| {
            Made::new(DX).grey(signed).items(Tag(0x0028, 0x3000), &[lut(vr)]).tone(0).modality.map(stored)
        };
        for vr in ["US", "SS"] {
            assert_eq!([-2.0, -1.0].map(|v| map(true, vr, v)), [7.0, 9.0], "{vr}");
            assert_eq!([65534.0, 65535.0].map(|v| map(false, vr, v)), [7.0, 9.0], "{vr}");
        }
    }

    #[test]
    fn padding_has_the_sign_of_the_samples() {
        for vr in ["US", "SS"] {
            let padding = |signed: bool, value: i32, limit: i32| {
                Made::new(DX)
                    .text(Tag(0x0028, 0x0004), "CS", "MONOCHROME2")
                    .words(Tag(0x0028, 0x0101), "US", &[16])
                    .words(Tag(0x0028, 0x0103), "US", &[signed.into()])
                    .words(Tag(0x0028, 0x0120), vr, &[value as u16])
                    .words(Tag(0x0028, 0x0121), vr, &[limit as u16])
                    .tone(0)
                    .padding
            };
            assert_eq!(padding(true, -2000, -1990), Some((-2000.0, -1990.0)), "{vr}");
            assert_eq!(padding(false, 65535, 65000), Some((65000.0, 65535.0)), "{vr}");
        }
    }

    #[test]
    fn a_palette() {
        let mut made = Made::new(DX).text(Tag(0x0028, 0x0004), "CS", "PALETTE COLOR");
        for n in 1..=3 {
            made = made.words(Tag(0x0028, 0x1100 + n), "US", &[2, 0, 16]);
        }
        for n in 1..=3 {
            made = made.words(Tag(0x0028, 0x1200 + n), "OW", &[0, 0x4000 * n]);
        }
        let Colour::Palette(palette) = made.tone(0).colour else { panic!("a palette") };
        assert_eq!([0, 1].map(|n| palette.map(n)), [[0, 0, 0], [0x40, 0x80, 0xC0]]);
    }

    #[test]
    fn segmentations_hold_labels_or_shares() {
        let labels = |class: &str, kind| Made::new(class).text(Tag(0x0062, 0x0001), "CS", kind).tone(0).labels;
        assert!(labels(SEGMENTATIONS[0], "BINARY") && labels(SEGMENTATIONS[1], "LABELMAP"));
        assert!(!labels(SEGMENTATIONS[0], "FRACTIONAL") && !labels(DX, "BINARY"));
    }
}
