//! Media types of pixel data and which form of a frame a request gets (PS3.18 8.7.3; the viewers' own reading of it).

use crate::accept::{self, MediaRange};
use dicom::TransferSyntax;

/// Media type of uncompressed and unknown bulk data.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// Media type of a whole instance (PS3.10).
pub const DICOM: &str = "application/dicom";
/// Media type of the DICOM JSON model.
pub const DICOM_JSON: &str = "application/dicom+json";
/// Media type of the Native DICOM Model.
pub const DICOM_XML: &str = "application/dicom+xml";

/// One or several parts in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `multipart/related`.
    Multipart,
    /// The bare bytes.
    Single,
}

/// The bytes of a frame on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// As they are stored.
    Stored,
    /// Decoded: samples in Explicit VR Little Endian.
    Samples,
}

/// How frames are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Answer {
    /// One or several parts.
    pub shape: Shape,
    /// Which bytes.
    pub form: Form,
}

/// Media type of one frame stored in this transfer syntax (PS3.18 Table 8.7.3-5).
pub fn of_frames(syntax: &TransferSyntax) -> &'static str {
    match syntax.uid().strip_prefix("1.2.840.10008.1.2.").unwrap_or_default() {
        "4.50" | "4.51" | "4.53" | "4.55" | "4.57" | "4.70" => "image/jpeg",
        "4.80" | "4.81" => "image/jls",
        "4.90" | "4.91" => "image/jp2",
        "4.92" | "4.93" => "image/jpx",
        "4.201" | "4.202" | "4.203" => "image/jphc",
        "4.110" | "4.111" | "4.112" => "image/jxl",
        "5" => "image/dicom-rle",
        "4.100" | "4.100.1" | "4.101" | "4.101.1" => "video/mpeg",
        "4.102" | "4.102.1" | "4.103" | "4.103.1" | "4.104" | "4.104.1" | "4.105" | "4.105.1" | "4.106" | "4.106.1"
        | "4.107" | "4.108" => "video/mp4",
        _ => OCTET_STREAM,
    }
}

/// Names that clients use for the same thing.
pub fn canonical(essence: &str) -> &str {
    match essence {
        "image/dicom+jpeg" | "image/dicom+jpeg+jpeg" => "image/jpeg",
        "image/dicom+jpeg-ls" | "image/dicom+jls" | "image/x-jls" => "image/jls",
        "image/dicom+jp2" | "image/dicom+jpeg-jp2" | "image/jpeg2000" | "image/j2c" => "image/jp2",
        "image/dicom+jpx" | "image/dicom+jpeg-jpx" => "image/jpx",
        "image/jph" | "image/jhc" | "image/dicom+jphc" => "image/jphc",
        "image/x-jxl" => "image/jxl",
        "image/dicom+rle" | "image/x-dicom-rle" => "image/dicom-rle",
        other => other,
    }
}

/// Does a client say that it has JPEG XL? Only one that names it, as a media type or as a transfer syntax, before it names JPEG:
/// viewers send `transfer-syntax=*` and `*/*` whatever they can decode. Read strictly, any syntax means JPEG XL too.
pub fn names_jpeg_xl(accept: Option<&str>, strict: bool) -> bool {
    let named = |range: &MediaRange| {
        let part = range.parameter("type").map_or(range.essence.clone(), str::to_ascii_lowercase);
        match (canonical(&part), range.parameter("transfer-syntax")) {
            ("image/jxl", _) => Some(true),
            (_, Some(uid)) if of_frames(&TransferSyntax::new(uid)) == "image/jxl" => Some(true),
            (_, Some("*")) if strict => Some(true),
            ("*/*" | "image/*", None) if strict => Some(true),
            ("image/jpeg", _) | (_, Some(TransferSyntax::JPEG_BASELINE)) => Some(false),
            _ => None,
        }
    };
    let anything = accept.is_none_or(|text| text.trim().is_empty());
    accept::parse(accept.unwrap_or_default()).iter().find_map(named).unwrap_or(strict && anything)
}

/// Chooses the answer to a request for frames stored in `stored`.
///
/// `strict` reads the standard as written: octets without a named syntax are uncompressed, and what cannot be given is
/// `None` (406). Otherwise the reading of the viewers holds: `transfer-syntax=*` means the stored bytes, and what is not
/// understood gets them too, as multipart unless the client asked for bare image types only.
pub fn negotiate(accept: Option<&str>, stored: &TransferSyntax, native: bool, strict: bool) -> Option<Answer> {
    let ranges = accept::parse(accept.unwrap_or_default());
    if let Some(answer) = ranges.iter().find_map(|range| offer(range, stored, native, strict)) {
        return Some(answer);
    }
    let anything = accept.is_none_or(|text| text.trim().is_empty());
    if strict && !anything {
        return None;
    }
    let bare = |r: &MediaRange| r.essence.starts_with("image/") || r.essence == OCTET_STREAM;
    let shape = if !ranges.is_empty() && ranges.iter().all(bare) { Shape::Single } else { Shape::Multipart };
    Some(Answer { shape, form: Form::Stored })
}

/// The answer that one media range allows, if any.
fn offer(range: &MediaRange, stored: &TransferSyntax, native: bool, strict: bool) -> Option<Answer> {
    let syntax = range.parameter("transfer-syntax");
    if range.essence == "*/*" {
        return form(OCTET_STREAM, Some("*"), stored, native, false)
            .map(|form| Answer { shape: Shape::Multipart, form });
    }
    if matches!(range.essence.as_str(), "multipart/related" | "multipart/*") {
        let (part, syntax) = match range.parameter("type") {
            Some(part) => (part.to_ascii_lowercase(), syntax),
            None => ("*/*".to_owned(), syntax.or(Some("*"))),
        };
        return form(&part, syntax, stored, native, strict).map(|form| Answer { shape: Shape::Multipart, form });
    }
    form(&range.essence, syntax, stored, native, strict).map(|form| Answer { shape: Shape::Single, form })
}

/// Which bytes a part of type `wanted` in `syntax` is.
fn form(wanted: &str, syntax: Option<&str>, stored: &TransferSyntax, native: bool, strict: bool) -> Option<Form> {
    let wanted = canonical(wanted);
    let media = of_frames(stored);
    if wanted == OCTET_STREAM {
        return match syntax {
            Some("*") if !strict => Some(Form::Stored),
            Some(uid) if uid == stored.uid() && !native => Some(Form::Stored),
            None | Some("*" | TransferSyntax::EXPLICIT_LITTLE) => Some(Form::Samples),
            Some(_) => None,
        };
    }
    let syntax_fits = syntax.is_none_or(|uid| uid == "*" || uid == stored.uid());
    (syntax_fits && accept::covers(wanted, media)).then_some(Form::Stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Form::*;
    use Shape::*;

    const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
    const JLS: &str = "1.2.840.10008.1.2.4.80";

    fn compatible(accept: &str, stored: &str) -> (Shape, Form) {
        let answer =
            negotiate(Some(accept), &TransferSyntax::new(stored), !stored.contains(".4."), false).expect("never 406");
        (answer.shape, answer.form)
    }

    fn strict(accept: &str, stored: &str) -> Option<(Shape, Form)> {
        negotiate(Some(accept), &TransferSyntax::new(stored), !stored.contains(".4."), true).map(|a| (a.shape, a.form))
    }

    #[test]
    fn viewers_get_the_stored_bytes() {
        for (accept, expected) in [
            ("multipart/related; type=application/octet-stream; transfer-syntax=*", (Multipart, Stored)),
            ("multipart/related; type=\"application/octet-stream\"; transfer-syntax=*", (Multipart, Stored)),
            (
                "multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.202",
                (Multipart, Stored),
            ),
            ("multipart/related; type=image/jphc", (Multipart, Stored)),
            ("multipart/related; type=\"image/jphc\"; transfer-syntax=1.2.840.10008.1.2.4.202", (Multipart, Stored)),
            ("multipart/related; type=image/jls,multipart/related; type=image/jphc", (Multipart, Stored)),
            ("multipart/related", (Multipart, Stored)),
            ("*/*", (Multipart, Stored)),
            ("undefined", (Multipart, Stored)),
            ("", (Multipart, Stored)),
            ("text/html", (Multipart, Stored)),
            ("image/jphc", (Single, Stored)),
            ("image/jhc", (Single, Stored)),
            ("image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202", (Single, Stored)),
            ("application/octet-stream;transfer-syntax=*", (Single, Stored)),
            ("image/*", (Single, Stored)),
            ("image/jls", (Single, Stored)),
            ("image/avif,image/webp,image/*,*/*;q=0.8", (Single, Stored)),
        ] {
            assert_eq!(compatible(accept, HTJ2K), expected, "{accept}");
        }
    }

    #[test]
    fn samples_for_who_names_them() {
        for accept in [
            "application/octet-stream",
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1",
            "image/png, application/octet-stream; transfer-syntax=\"1.2.840.10008.1.2.1\"",
        ] {
            assert_eq!(compatible(accept, JLS), (Single, Samples), "{accept}");
            assert_eq!(strict(accept, JLS), Some((Single, Samples)), "{accept}");
        }
        assert_eq!(compatible("multipart/related; type=application/octet-stream", JLS), (Multipart, Samples));
    }

    #[test]
    fn strict_reads_the_standard() {
        assert_eq!(
            strict("multipart/related; type=application/octet-stream; transfer-syntax=*", HTJ2K),
            Some((Multipart, Samples))
        );
        assert_eq!(strict("multipart/related; type=image/jphc", HTJ2K), Some((Multipart, Stored)));
        assert_eq!(strict("*/*", HTJ2K), Some((Multipart, Stored)));
        for accept in [
            "image/jls",
            "undefined",
            "text/html",
            "multipart/related; type=image/jphc; transfer-syntax=1.2.840.10008.1.2.4.201",
        ] {
            assert_eq!(strict(accept, HTJ2K), None, "{accept}");
        }
        assert!(negotiate(None, &TransferSyntax::new(HTJ2K), false, true).is_some(), "no Accept accepts all");
    }

    #[test]
    fn jpeg_xl_is_for_who_names_it() {
        for (accept, compatible, strict) in [
            ("multipart/related; type=application/octet-stream; transfer-syntax=*", false, true),
            ("multipart/related; type=image/jxl", true, true),
            ("multipart/related; type=\"image/x-jxl\"; transfer-syntax=1.2.840.10008.1.2.4.111", true, true),
            ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.110", true, true),
            ("multipart/related; type=application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.112", true, true),
            ("image/avif,image/webp,image/*,*/*;q=0.8", false, true),
            ("image/jxl,image/avif,*/*;q=0.8", true, true),
            ("image/jpeg, image/jxl;q=0.9", false, false),
            ("image/jxl, image/jpeg;q=0.9", true, true),
            ("application/octet-stream", false, false),
            ("undefined", false, false),
        ] {
            assert_eq!(names_jpeg_xl(Some(accept), false), compatible, "{accept}");
            assert_eq!(names_jpeg_xl(Some(accept), true), strict, "{accept}, strict");
        }
        assert!(!names_jpeg_xl(None, false) && names_jpeg_xl(None, true));
    }

    #[test]
    fn weights_decide_before_order() {
        assert_eq!(
            compatible("application/octet-stream;q=0.1, multipart/related;type=image/jls", JLS),
            (Multipart, Stored)
        );
    }
}
