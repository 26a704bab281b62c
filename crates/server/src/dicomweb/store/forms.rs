//! The forms that instances come in and that the answer has (PS3.18 10.5.1 and 10.5.3).

use crate::accept;
use crate::error::{Answered, Problem};
use crate::media::{DICOM_JSON, DICOM_XML};

/// How the body holds instances.
pub enum Framing {
    /// It is one instance.
    Single,
    /// Parts between delimiters.
    Parts {
        /// The text of the delimiters.
        boundary: String,
        /// What they are.
        content: Content,
    },
}

/// What the parts of a body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Part 10 objects.
    Dicom,
    /// Metadata and bulk data.
    Model(Model),
}

/// How a data set is written: that of the answer, and those that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// DICOM JSON.
    Json,
    /// The Native DICOM Model in XML.
    Xml,
}

impl Model {
    /// The one that the client likes best; JSON where it does not say.
    pub fn of(accept: Option<&str>) -> Answered<Model> {
        let ranges = accept::parse(accept.unwrap_or_default());
        if ranges.is_empty() {
            return Ok(Model::Json);
        }
        ranges
            .iter()
            .find_map(|range| match () {
                () if range.covers(DICOM_JSON) || range.covers("application/json") => Some(Model::Json),
                () if range.covers(DICOM_XML) || range.covers("text/xml") || range.covers("application/xml") => {
                    Some(Model::Xml)
                }
                () => None,
            })
            .ok_or_else(|| Problem::not_acceptable("the answer is application/dicom+json or application/dicom+xml"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_reads() {
        for (accept, model) in [
            (None, Some(Model::Json)),
            (Some("*/*"), Some(Model::Json)),
            (Some("undefined"), Some(Model::Json)),
            (Some("application/json"), Some(Model::Json)),
            (Some("application/dicom+xml, application/dicom+json;q=0.5"), Some(Model::Xml)),
            (Some("application/dicom+xml;q=0.1, */*;q=0.05"), Some(Model::Xml)),
            (Some("text/html, image/*"), None),
        ] {
            assert_eq!(Model::of(accept).ok(), model, "{accept:?}");
        }
    }
}
