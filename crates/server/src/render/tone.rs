//! What the attributes ask for: Modality, VOI, polarity, palette (PS3.3 C.11.1, C.11.2, C.7.6.3, C.7.6.16.2.9-10).

use super::Error;
use super::lut::Lut;
use super::source::Samples;
use archive::{Archive, Instance};
use serde_json::{Map, Value};
use std::io::Read;

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
            Function::Linear if w <= 1.0 => f64::from(u8::from(x > c - 0.5)),
            Function::Linear => (x - (c - 0.5)) / (w - 1.0) + 0.5,
            Function::LinearExact if w <= 0.0 => f64::from(u8::from(x > c)),
            Function::LinearExact => (x - c) / w + 0.5,
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
            Modality::Table(lut) => lut.map(stored as i32).into(),
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
    /// Red, green, blue.
    Rgb,
    /// Luminance and colour differences, full range.
    Ybr,
    /// An index into red, green and blue tables.
    Palette(Box<[Lut; 3]>),
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
    pub padding: Option<(i64, i64)>,
    /// How the samples are coloured.
    pub colour: Colour,
}

/// Fetches a value by its bulk data URI.
type Bulk<'a> = Box<dyn Fn(&str) -> Option<Vec<u8>> + 'a>;

/// The attributes of an instance in the DICOM JSON model.
pub struct Attributes<'a> {
    json: Map<String, Value>,
    bulk: Bulk<'a>,
}

impl<'a> Attributes<'a> {
    /// Takes the prepared metadata of an instance; bulk values are fetched when one is needed.
    pub fn of(archive: &'a Archive, instance: &'a Instance) -> Result<Attributes<'a>, Error> {
        let prepared = archive.instance_metadata(&instance.study, &instance.series, &instance.sop)?;
        let prepared = prepared.ok_or(Error::NoImage("the instance is gone"))?;
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&prepared.gzip[..]).read_to_end(&mut text)?;
        let parsed: Vec<Map<String, Value>> = serde_json::from_slice(&text).map_err(std::io::Error::other)?;
        let json = parsed.into_iter().next().ok_or(Error::Mismatch("no metadata"))?;
        let bulk = move |uri: &str| -> Option<Vec<u8>> {
            let path = uri.split_once("/bulkdata/")?.1;
            Some(archive.source(instance).ok()?.bulk(path).ok()??.bytes)
        };
        Ok(Attributes { json, bulk: Box::new(bulk) })
    }

    /// Attributes in memory.
    #[cfg(test)]
    pub fn in_memory(json: Map<String, Value>) -> Attributes<'static> {
        Attributes { json, bulk: Box::new(|_| None) }
    }

    /// The tone of frame `frame` (from 0).
    pub fn tone(&self, frame: u32, samples: &Samples) -> Tone {
        let photometric = string(&self.json, "00280004").unwrap_or_default();
        let shape = string(&self.json, "20500020").unwrap_or_default();
        let colour = self.colour(photometric, samples);
        Tone {
            modality: self.modality(frame),
            voi: self.voi(frame),
            inverted: (photometric == "MONOCHROME1") != (shape == "INVERSE" && photometric == "MONOCHROME2")
                && !photometric.is_empty(),
            padding: self.padding(),
            colour,
        }
    }

    fn colour(&self, photometric: &str, samples: &Samples) -> Colour {
        match photometric {
            "PALETTE COLOR" => self.palette().map_or(Colour::Grey, |luts| Colour::Palette(Box::new(luts))),
            _ if samples.channels < 3 => Colour::Grey,
            _ if samples.ybr => Colour::Ybr,
            _ => Colour::Rgb,
        }
    }

    fn palette(&self) -> Option<[Lut; 3]> {
        let lut = |n: u32| {
            let descriptor = descriptor(&self.json, &format!("0028110{n}"))?;
            let plain =
                self.bytes(&self.json, &format!("0028120{n}")).and_then(|data| Lut::from_bytes(descriptor, &data));
            plain.or_else(|| Lut::from_segments(descriptor, &self.bytes(&self.json, &format!("0028122{n}"))?))
        };
        Some([lut(1)?, lut(2)?, lut(3)?])
    }

    fn modality(&self, frame: u32) -> Modality {
        let transform = self.functional_group(frame, "00289145").unwrap_or(&self.json);
        if let Some(lut) = item(&self.json, "00283000", 0).and_then(|item| self.lut_item(item)) {
            return Modality::Table(lut);
        }
        let slope = number(transform, "00281053").filter(|s| *s != 0.0).unwrap_or(1.0);
        Modality::Linear { slope, intercept: number(transform, "00281052").unwrap_or(0.0) }
    }

    fn voi(&self, frame: u32) -> Voi {
        let group = self.functional_group(frame, "00289132").unwrap_or(&self.json);
        let function = match string(group, "00281056") {
            Some("SIGMOID") => Function::Sigmoid,
            Some("LINEAR_EXACT") => Function::LinearExact,
            _ => Function::Linear,
        };
        if let (Some(center), Some(width)) = (number(group, "00281050"), number(group, "00281051"))
            && width > 0.0
        {
            return Voi::Window(Window { center, width, function });
        }
        match item(&self.json, "00283010", 0).and_then(|item| self.lut_item(item)) {
            Some(lut) => Voi::Table(lut),
            None => Voi::Extent,
        }
    }

    fn padding(&self) -> Option<(i64, i64)> {
        let value = number(&self.json, "00280120")? as i64;
        let limit = number(&self.json, "00280121").map_or(value, |v| v as i64);
        Some((value.min(limit), value.max(limit)))
    }

    fn lut_item(&self, item: &Map<String, Value>) -> Option<Lut> {
        let descriptor = descriptor(item, "00283002")?;
        match values(item, "00283006") {
            Some(entries) if !entries.is_empty() => Lut::from_values(
                descriptor,
                entries.iter().filter_map(Value::as_f64).map(|v| v as i32 as u16).collect(),
            ),
            _ => Lut::from_bytes(descriptor, &self.bytes(item, "00283006")?),
        }
    }

    /// The first item of a functional group macro of a frame: per frame (5200,9230), else shared (5200,9229).
    fn functional_group(&self, frame: u32, tag: &str) -> Option<&Map<String, Value>> {
        let per_frame = item(&self.json, "52009230", frame as usize).and_then(|groups| item(groups, tag, 0));
        per_frame.or_else(|| item(&self.json, "52009229", 0).and_then(|groups| item(groups, tag, 0)))
    }

    /// A binary value, inline or by reference.
    fn bytes(&self, set: &Map<String, Value>, tag: &str) -> Option<Vec<u8>> {
        let element = set.get(tag)?;
        if let Some(text) = element.get("InlineBinary").and_then(Value::as_str) {
            return base64(text);
        }
        (self.bulk)(element.get("BulkDataURI")?.as_str()?)
    }
}

fn values<'a>(set: &'a Map<String, Value>, tag: &str) -> Option<&'a Vec<Value>> {
    set.get(tag)?.get("Value")?.as_array()
}

fn item<'a>(set: &'a Map<String, Value>, tag: &str, at: usize) -> Option<&'a Map<String, Value>> {
    values(set, tag)?.get(at)?.as_object()
}

fn string<'a>(set: &'a Map<String, Value>, tag: &str) -> Option<&'a str> {
    values(set, tag)?.first()?.as_str()
}

/// The first number; DS and IS may stand as text.
fn number(set: &Map<String, Value>, tag: &str) -> Option<f64> {
    let first = values(set, tag)?.first()?;
    let number = first.as_f64().or_else(|| first.as_str()?.trim().parse().ok())?;
    number.is_finite().then_some(number)
}

fn descriptor(set: &Map<String, Value>, tag: &str) -> Option<[i32; 3]> {
    let values = values(set, tag)?;
    let at = |n: usize| values.get(n)?.as_f64().map(|v| v as i32);
    Some([at(0)?, at(1)?, at(2)?])
}

/// Base64 (RFC 4648 section 4), white space ignored.
fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut held, mut bits) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for byte in text.bytes().filter(|b| !b.is_ascii_whitespace()).take_while(|b| *b != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attributes(json: Value) -> Attributes<'static> {
        let Value::Object(json) = json else { panic!("an object") };
        Attributes::in_memory(json)
    }

    fn grey() -> Samples {
        Samples::grey8(1, 1, vec![0])
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
    fn attributes_are_read() {
        let tone = attributes(json!({
            "00280004": {"vr": "CS", "Value": ["MONOCHROME1"]},
            "00281050": {"vr": "DS", "Value": [40, 80]}, "00281051": {"vr": "DS", "Value": ["400", "1"]},
            "00281052": {"vr": "DS", "Value": [-1024]}, "00281053": {"vr": "DS", "Value": [2]},
            "00280120": {"vr": "SS", "Value": [-2000]},
        }))
        .tone(0, &grey());
        assert!(tone.inverted);
        assert_eq!(tone.voi, Voi::Window(Window { center: 40.0, width: 400.0, function: Function::Linear }));
        assert_eq!(tone.modality.map(1.0), -1022.0);
        assert_eq!(tone.padding, Some((-2000, -2000)));
        assert_eq!(tone.colour, Colour::Grey);
    }

    #[test]
    fn functional_groups_come_per_frame_then_shared() {
        let window = |c: f64| json!({"Value": [{"00281050": {"Value": [c]}, "00281051": {"Value": [10.0]}}]});
        let of = attributes(json!({
            "52009230": {"Value": [{"00289132": window(1.0)}, {}]},
            "52009229": {"Value": [{"00289132": window(2.0), "00289145": {"Value": [{"00281052": {"Value": [5]}, "00281053": {"Value": [1]}}]}}]},
        }));
        let center = |frame| match of.tone(frame, &grey()).voi {
            Voi::Window(window) => window.center,
            other => panic!("{other:?}"),
        };
        assert_eq!((center(0), center(1)), (1.0, 2.0));
        assert_eq!(of.tone(0, &grey()).modality.map(1.0), 6.0);
    }

    #[test]
    fn a_palette_inline() {
        let descriptor = json!({"vr": "US", "Value": [2, 0, 16]});
        let mut json = json!({"00280004": {"Value": ["PALETTE COLOR"]}});
        for n in 1..=3 {
            json[format!("0028110{n}")] = descriptor.clone();
            json[format!("0028120{n}")] = json!({"vr": "OW", "InlineBinary": "AAD//w=="});
        }
        let Colour::Palette(luts) = attributes(json).tone(0, &grey()).colour else { panic!("a palette") };
        assert_eq!(luts[2].values, [0, 65535]);
    }

    #[test]
    fn base64_is_read() {
        assert_eq!(base64("TWFu").unwrap(), b"Man");
        assert_eq!(base64("TWE=\n").unwrap(), b"Ma");
        assert_eq!(base64("TQ==").unwrap(), b"M");
        assert_eq!(base64("T?=="), None);
    }
}
