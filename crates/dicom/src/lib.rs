//! A DICOM instance read where it lies: nothing is decoded, nothing is held in memory that is not asked for.
//!
//! [`Source::open`] walks the data set of a file, [`Source::from_reader`] that of any bytes with random access ([`ReadAt`]): it remembers
//! where elements and their values are ([`DataSet`]), finds every frame ([`Frame`]) and takes down what policy, index and rendering ask
//! ([`Facts`]). [`Head`] is what the first bytes say.
//!
//! Pixels are bytes here. Codecs, and what makes another instance of one, are above this crate.

mod charset;
mod document;
mod head;
mod json;
mod likely;
mod read_at;
mod uid;
mod walk;

pub mod data_set;
pub mod dictionary;
pub mod error;
pub mod facts;
pub mod frames;
pub mod input;
pub mod jpeg_xl;
pub mod rope;
pub mod source;
pub mod stream;
pub mod syntax;

pub use data_set::{DataSet, Element, Item, Tag, Value, Vr};
pub use error::Error;
pub use facts::{Facts, Pixels};
pub use frames::Frame;
pub use head::Head;
pub use likely::{LIKELY_HEAD, is_likely_dicom};
pub use read_at::{LocalFile, ReadAt};
pub use source::{Bulk, Source};
pub use syntax::TransferSyntax;
pub use uid::Uid;

/// The Implementation Class UID written into the file meta of every instance that is written here (PS3.10 7.1).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.26787451105941840915529671309252685155";
/// The Implementation Version Name that goes with it.
pub const IMPLEMENTATION_VERSION_NAME: &str = "FIRSTLIGHT_0_1";
