//! What may never happen, whatever comes: no panic, no answer 500, no bytes out of nothing. A target in `fuzz_targets` is one function here.
//!
//! ```text
//! files     objects as they lie on a disk: the walk of the elements, character sets, the codecs of frames
//! http      requests of strangers: headers, queries, bodies of STOW-RS, against a server with one image
//! network   bytes on the port of DIMSE; tokens that no provider signed
//! ```

#[cfg(feature = "files")]
mod files;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "network")]
mod network;

#[cfg(feature = "files")]
pub use files::{character_sets, jpeg, jpeg_ls, jpeg_xl, rle, walk};
#[cfg(feature = "http")]
pub use http::{accept, dicom_json, dicom_xml, multipart, query, range};
#[cfg(feature = "network")]
pub use network::{association, token};
