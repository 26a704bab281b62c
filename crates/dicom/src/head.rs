//! The beginning of an instance (PS3.10 chapter 7): what a census asks, from the first bytes alone.

use crate::charset::Charset;
use crate::data_set::{DataSet, Tag};
use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::input::Input;
use crate::source::{after_preamble, guess};
use crate::syntax::{Encoding, TransferSyntax};
use crate::walk;
use std::sync::Arc;

const META: u16 = 0x0002;

/// What the first bytes of an instance say. A value that lies beyond them is empty or 0.
#[derive(Debug, Clone)]
pub struct Head {
    /// Transfer syntax of the file.
    pub transfer_syntax: TransferSyntax,
    /// Modality (0008,0060).
    pub modality: String,
    /// Study Date (0008,0020) as written.
    pub study_date: String,
}

impl Head {
    /// Reads as far as the bytes go; an element that is cut ends it.
    pub fn read(bytes: Vec<u8>) -> Result<Head> {
        let input = Arc::new(Input::from_bytes(bytes));
        let start = after_preamble(&input)?;
        let (meta, start) = walk::walk_group(&input, start, META)?;
        let header = set(&input, meta, Encoding::ExplicitLittle);
        let told = header.string(Tag(META, 0x0010)).filter(|uid| !uid.is_empty()).map(TransferSyntax::new);
        let encoding = told.as_ref().map_or_else(|| guess(&input, start), |t| Ok(t.encoding()))?;
        let deflated = told.as_ref().is_some_and(|t| t.uid() == TransferSyntax::DEFLATED);
        let elements = if deflated { Vec::new() } else { walk::walk_head(&input, start, encoding)? };
        if elements.is_empty() && !deflated {
            return Err(Error::NotDicom);
        }
        let syntax = told.unwrap_or_else(|| TransferSyntax::of_encoding(encoding));
        let set = Arc::new(set(&input, elements, encoding));
        let facts = Facts::read(&set, syntax, String::new());
        let study_date = set.string(Tag(0x0008, 0x0020)).unwrap_or_default();
        Ok(Head { transfer_syntax: facts.transfer_syntax, modality: facts.modality, study_date })
    }
}

fn set(input: &Arc<Input>, elements: Vec<crate::data_set::Element>, encoding: Encoding) -> DataSet {
    DataSet { input: input.clone(), elements, encoding, charset: Charset::default(), irregular: false }
}
