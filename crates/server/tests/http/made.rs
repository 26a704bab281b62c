//! Small DICOM files made for the tests.

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

pub const STUDY: &str = "1.2.3.4";
pub const SERIES: &str = "1.2.3.4.5";
pub const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const SECONDARY: &str = "1.2.840.10008.5.1.4.1.1.7.3";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const BIG: &str = "1.2.840.10008.1.2.2";
pub const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";

/// How the JPEG family of streams begins.
pub const JPEG_START: &[u8] = &[0xFF, 0xD8, 0xFF, 0xF7];

/// A DICOM file in the making.
pub struct Made {
    set: InMemDicomObject,
    sop: String,
    syntax: String,
}

/// Path of an instance below the DICOMweb root.
pub fn path(sop: &str) -> String {
    format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{sop}")
}

impl Made {
    /// A file without pixels.
    pub fn new(sop: &str, class: &str, syntax: &str) -> Made {
        let mut made = Made { set: InMemDicomObject::new_empty(), sop: sop.to_owned(), syntax: syntax.to_owned() };
        made.text(0x0008_0016, VR::UI, class);
        made.text(0x0008_0018, VR::UI, sop);
        made.text(0x0008_0020, VR::DA, "20261122");
        made.text(0x0008_0030, VR::TM, "101500");
        made.text(0x0008_0060, VR::CS, "CT");
        made.text(0x0008_1030, VR::LO, "Head");
        made.text(0x0010_0010, VR::PN, "Dawn^Aurora");
        made.text(0x0010_0020, VR::LO, "P-1");
        made.text(0x0020_000D, VR::UI, STUDY);
        made.text(0x0020_000E, VR::UI, SERIES);
        made.text(0x0020_0013, VR::IS, sop.rsplit('.').next().unwrap_or("1"));
        made
    }

    /// Another patient, study and series.
    pub fn elsewhere(mut self, patient: &str, study: &str, series: &str) -> Made {
        self.text(0x0010_0010, VR::PN, patient);
        self.text(0x0020_000D, VR::UI, study);
        self.text(0x0020_000E, VR::UI, series);
        self
    }

    /// Adds or replaces an element of text.
    pub fn text(&mut self, tag: u32, vr: VR, value: &str) {
        self.set.put(DataElement::new(at(tag), vr, PrimitiveValue::from(value)));
    }

    pub fn with(mut self, tag: u32, vr: VR, value: &str) -> Made {
        self.text(tag, vr, value);
        self
    }

    pub fn bytes(mut self, tag: u32, vr: VR, value: Vec<u8>) -> Made {
        self.set.put(DataElement::new(at(tag), vr, PrimitiveValue::U8(value.into())));
        self
    }

    pub fn words(mut self, tag: u32, vr: VR, value: Vec<u16>) -> Made {
        self.set.put(DataElement::new(at(tag), vr, PrimitiveValue::U16(value.into())));
        self
    }

    fn image(mut self, columns: u16, rows: u16, bits: u16, samples: u16, photometric: &str) -> Made {
        let number = |tag, value: u16| DataElement::new(at(tag), VR::US, PrimitiveValue::from(value));
        for (tag, value) in [
            (0x0028_0002, samples),
            (0x0028_0010, rows),
            (0x0028_0011, columns),
            (0x0028_0100, bits.next_multiple_of(8)),
            (0x0028_0101, bits),
            (0x0028_0102, bits - 1),
            (0x0028_0103, 0),
        ] {
            self.set.put(number(tag, value));
        }
        if samples > 1 {
            self.set.put(number(0x0028_0006, 0));
        }
        self.with(0x0028_0004, VR::CS, photometric)
    }

    /// Unsigned 16-bit grey frames.
    pub fn grey16(self, columns: u16, rows: u16, frames: &[Vec<u16>]) -> Made {
        let pixels = frames.concat();
        let made = self.image(columns, rows, 16, 1, "MONOCHROME2").with(0x0028_0008, VR::IS, &frames.len().to_string());
        made.words(0x7FE0_0010, VR::OW, pixels)
    }

    /// A sequence of these items.
    pub fn sequence(mut self, tag: u32, items: Vec<InMemDicomObject>) -> Made {
        self.set.put(DataElement::new(at(tag), VR::SQ, DataSetSequence::from(items)));
        self
    }

    /// Unsigned 32-bit grey samples, as little-endian bytes.
    pub fn bits32(self, columns: u16, rows: u16, pixels: Vec<u8>) -> Made {
        self.image(columns, rows, 32, 1, "MONOCHROME2").bytes(0x7FE0_0010, VR::OW, pixels)
    }

    /// Unsigned 8-bit samples.
    pub fn bytes8(self, columns: u16, rows: u16, samples: u16, photometric: &str, pixels: Vec<u8>) -> Made {
        self.image(columns, rows, 8, samples, photometric).bytes(0x7FE0_0010, VR::OB, pixels)
    }

    /// Frames in fragments: each of them a list of fragments.
    pub fn fragments(mut self, columns: u16, rows: u16, frames: &[Vec<Vec<u8>>]) -> Made {
        self = self.image(columns, rows, 8, 1, "MONOCHROME2").with(0x0028_0008, VR::IS, &frames.len().to_string());
        let mut offsets = Vec::new();
        let mut offset = 0u32;
        for frame in frames {
            offsets.push(offset);
            offset += frame.iter().map(|f| f.len() as u32 + 8).sum::<u32>();
        }
        let fragments: Vec<Vec<u8>> = frames.concat();
        let value: Value<InMemDicomObject, Vec<u8>> =
            Value::PixelSequence(PixelFragmentSequence::new(offsets, fragments));
        self.set.put(DataElement::new(at(0x7FE0_0010), VR::OB, value));
        self
    }

    /// One coded frame of unsigned 16-bit grey samples.
    pub fn coded16(self, columns: u16, rows: u16, frame: Vec<u8>) -> Made {
        self.fragments(columns, rows, &[vec![frame]]).image(columns, rows, 16, 1, "MONOCHROME2")
    }

    /// The file.
    pub fn file(self) -> Vec<u8> {
        let class = self.set.element(at(0x0008_0016)).unwrap().to_str().unwrap().into_owned();
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(&self.syntax)
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid(&self.sop);
        let mut out = vec![0x5A; 128];
        let object = self.set.with_meta(meta).unwrap();
        let mut file = Vec::new();
        object.write_all(&mut file).unwrap();
        // A preamble that is not all zeros, as a dual-use file has it.
        out.extend_from_slice(&file[128..]);
        out
    }
}

fn at(tag: u32) -> Tag {
    Tag((tag >> 16) as u16, tag as u16)
}

/// A file of three 16-bit frames whose samples all differ, and the frames' bytes.
pub fn three_frames(sop: &str, syntax: &str) -> (Vec<u8>, Vec<Vec<u8>>) {
    let frames: Vec<Vec<u16>> =
        (0..3u16).map(|f| (0..64 * 48u16).map(|n| n.wrapping_mul(31).wrapping_add(f * 7919)).collect()).collect();
    let bytes = frames.iter().map(|frame| frame.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    (Made::new(sop, CT, syntax).grey16(64, 48, &frames).file(), bytes)
}
