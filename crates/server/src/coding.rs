//! Content codings of replies in memory (RFC 9110 8.4.1 and 12.5.3): gzip, brotli, zstd, deflate.

use crate::reply::{gzip, weight};
use axum::http::HeaderMap;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{Error, Write};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentCoding {
    /// gzip (RFC 1952): what metadata is kept in.
    Gzip,
    /// zstd (RFC 8878).
    Zstd,
    /// br (RFC 7932).
    Brotli,
    /// deflate, which is zlib (RFC 1950).
    Deflate,
}

/// Of codings that a client likes as much, the first.
const ALL: [ContentCoding; 4] =
    [ContentCoding::Gzip, ContentCoding::Zstd, ContentCoding::Brotli, ContentCoding::Deflate];

impl ContentCoding {
    /// The one that the client likes best; `None`: it takes none.
    pub fn of(headers: &HeaderMap) -> Option<ContentCoding> {
        let mut best = (0.0, None);
        for coding in ALL {
            let weight = weight(headers, coding.name());
            if weight > best.0 {
                best = (weight, Some(coding));
            }
        }
        best.1
    }

    /// As Content-Encoding names it.
    pub fn name(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Zstd => "zstd",
            ContentCoding::Brotli => "br",
            ContentCoding::Deflate => "deflate",
        }
    }

    /// Codes bytes, quickly rather than small.
    pub fn encode(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            ContentCoding::Gzip => Ok(gzip(bytes)),
            ContentCoding::Zstd => Ok(compress_to_vec(bytes, CompressionLevel::Fastest)),
            ContentCoding::Brotli => {
                let mut writer = brotli::CompressorWriter::new(Vec::with_capacity(bytes.len() / 4), 16 << 10, 4, 20);
                writer.write_all(bytes)?;
                Ok(writer.into_inner())
            }
            ContentCoding::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(4));
                writer.write_all(bytes)?;
                writer.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderValue, header};
    use std::io::Read;

    fn of(value: &'static str) -> Option<ContentCoding> {
        ContentCoding::of(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
    }

    #[test]
    fn the_best_of_what_is_taken() {
        assert_eq!(of("gzip, br, zstd"), Some(ContentCoding::Gzip));
        assert_eq!(of("gzip;q=0.5, br"), Some(ContentCoding::Brotli));
        assert_eq!(of("zstd, gzip;q=0"), Some(ContentCoding::Zstd));
        assert_eq!(of("deflate"), Some(ContentCoding::Deflate));
        assert_eq!(of("*"), Some(ContentCoding::Gzip));
        assert_eq!((of("identity"), of("x"), of("*;q=0")), (None, None, None));
    }

    #[test]
    fn each_is_undone_by_another_decoder() {
        let text = b"{\"00100010\": {\"vr\": \"PN\"}}".repeat(500);
        for coding in ALL {
            let coded = coding.encode(&text).unwrap();
            assert!(coded.len() < text.len() / 4, "{coding:?}");
            let mut out = Vec::new();
            match coding {
                ContentCoding::Gzip => flate2::read::GzDecoder::new(&*coded).read_to_end(&mut out),
                ContentCoding::Deflate => flate2::read::ZlibDecoder::new(&*coded).read_to_end(&mut out),
                ContentCoding::Brotli => brotli::Decompressor::new(&*coded, 4096).read_to_end(&mut out),
                ContentCoding::Zstd => ruzstd::decoding::StreamingDecoder::new(&*coded).unwrap().read_to_end(&mut out),
            }
            .unwrap();
            assert!(out == text, "{coding:?}");
        }
    }
}
