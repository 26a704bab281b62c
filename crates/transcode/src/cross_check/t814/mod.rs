//! A decoder of HTJ2K after ITU-T T.814 and T.800 (ISO/IEC 15444-15 and -1), which shares no line with the codec that writes the streams.
//!
//! [`markers`] reads the marker segments, [`packets`] finds the code-blocks with [`tag_tree`], [`cleanup`] decodes one of them from the streams
//! of [`bits`] with the codes of [`vlc`]; [`synthesis`] puts rows together from sub-bands by [`lifting`], [`samples`] makes of them what was coded.
//!
//! It has the one form that is written here: one tile at the origin, maximal precincts, RPCL, one layer, blocks of 64 x 64 with nothing but a
//! cleanup pass, both transforms, 1 to 4 components of 1 to 16 bits, sides up to 32,768. Everything else is refused as such.

mod bits;
mod cleanup;
mod lifting;
mod markers;
mod packets;
mod samples;
mod synthesis;
mod tag_tree;
#[cfg(test)]
mod tests;
mod vlc;

pub(super) use samples::Picture;

/// Why a stream is not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is not of the form that this decoder has: what is.
    Form(String),
    /// It is damaged, or contradicts itself.
    Damaged(String),
}

type Result<T> = std::result::Result<T, Refused>;

fn form(what: impl Into<String>) -> Refused {
    Refused::Form(what.into())
}

#[cold]
fn damaged(what: &str) -> Refused {
    Refused::Damaged(what.into())
}

/// Begins to decode a stream of at most so many samples; nothing is allocated for one that tells of more.
pub(super) fn decode(stream: &[u8], most_samples: usize) -> Result<Picture<'_>> {
    let header = markers::read(stream, most_samples)?;
    let bands = packets::read(stream, &header)?;
    Ok(Picture::new(stream, header, bands))
}
