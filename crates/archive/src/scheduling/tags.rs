//! The attributes that mean something for what is scheduled or performed (PS3.4 K.6.1.2.2, F.7.2.1).

use dicom::Tag;

pub const CHARACTER_SET: Tag = Tag(0x0008, 0x0005);
pub const INSTANCE: Tag = Tag(0x0008, 0x0018);
pub const ACCESSION: Tag = Tag(0x0008, 0x0050);
pub const MODALITY: Tag = Tag(0x0008, 0x0060);
pub const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub const ISSUER: Tag = Tag(0x0010, 0x0021);
pub const STUDY: Tag = Tag(0x0020, 0x000D);
pub const STEPS: Tag = Tag(0x0040, 0x0100);
pub const STEP_DATE: Tag = Tag(0x0040, 0x0002);
pub const STEP_ID: Tag = Tag(0x0040, 0x0009);
pub const PROCEDURE_ID: Tag = Tag(0x0040, 0x1001);
pub const STATUS: Tag = Tag(0x0040, 0x0252);
pub const SCHEDULED_ATTRIBUTES: Tag = Tag(0x0040, 0x0270);

/// A tag as JSON has it.
pub fn name(tag: Tag) -> String {
    format!("{:04X}{:04X}", tag.0, tag.1)
}
