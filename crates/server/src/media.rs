//! Media types of pixel data and which form of a frame a request gets (PS3.18 8.7.3; the viewers' own reading of it).

use crate::accept::{self, MediaRange};
use dicom::TransferSyntax;
use transcode::Target;

/// Media type of uncompressed and unknown bulk data.
pub const OCTET_STREAM: &str = "application/octet-stream";
/// Media type of a whole instance (PS3.10).
pub const DICOM: &str = "application/dicom";
/// Media type of the DICOM JSON model.
pub const DICOM_JSON: &str = "application/dicom+json";
/// Media type of the Native DICOM Model (PS3.19 A.1).
pub const DICOM_XML: &str = "application/dicom+xml";
/// Media type of a zip of DICOM files.
pub const ZIP: &str = "application/zip";

/// The version of what makes bytes out of stored ones: part of their entity tags, since another one may make other bytes.
pub const CODER: &str = env!("CARGO_PKG_VERSION");

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
    /// Coded anew.
    Coded(Coding),
}

/// A coding that frames are put into for a client that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// JPEG-LS Lossless.
    JpegLs,
    /// HTJ2K Lossless.
    Htj2k,
    /// HTJ2K Lossless RPCL.
    Htj2kRpcl,
    /// JPEG XL Lossless.
    JpegXl,
    /// JPEG Baseline: lossy, for who asks for it by its transfer syntax.
    JpegBaseline,
}

impl Coding {
    /// What a client means by a media type and a transfer syntax; `None`: any, which is the default of the media type (PS3.18 Table
    /// 8.7.3-5). Image/jpeg alone is JPEG Lossless there, and that is not written here.
    pub fn named(media: &str, syntax: Option<&str>) -> Option<Coding> {
        Some(match (media, syntax) {
            ("image/jls", None | Some("*" | TransferSyntax::JPEG_LS)) => Coding::JpegLs,
            ("image/jphc", None | Some("*" | TransferSyntax::HTJ2K)) => Coding::Htj2k,
            ("image/jphc", Some(TransferSyntax::HTJ2K_RPCL)) => Coding::Htj2kRpcl,
            ("image/jxl", None | Some("*" | TransferSyntax::JPEG_XL_LOSSLESS)) => Coding::JpegXl,
            ("image/jpeg", Some(TransferSyntax::JPEG_BASELINE)) => Coding::JpegBaseline,
            _ => return None,
        })
    }

    /// The coding of this transfer syntax.
    pub fn of_syntax(uid: &str) -> Option<Coding> {
        Coding::named(of_frames(&TransferSyntax::new(uid)), Some(uid))
    }

    /// Its transfer syntax.
    pub fn syntax(self) -> &'static str {
        match self {
            Coding::JpegLs => TransferSyntax::JPEG_LS,
            Coding::Htj2k => TransferSyntax::HTJ2K,
            Coding::Htj2kRpcl => TransferSyntax::HTJ2K_RPCL,
            Coding::JpegXl => TransferSyntax::JPEG_XL_LOSSLESS,
            Coding::JpegBaseline => TransferSyntax::JPEG_BASELINE,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        of_frames(&TransferSyntax::new(self.syntax()))
    }

    /// Its letter in entity tags.
    pub fn letter(self) -> &'static str {
        match self {
            Coding::JpegLs => "l",
            Coding::Htj2k => "h",
            Coding::Htj2kRpcl => "p",
            Coding::JpegXl => "x",
            Coding::JpegBaseline => "b",
        }
    }

    /// What the transcoder calls it; `None` of JPEG Baseline.
    pub fn target(self) -> Option<Target> {
        Some(match self {
            Coding::JpegLs => Target::JpegLsLossless,
            Coding::Htj2k => Target::Htj2kLossless,
            Coding::Htj2kRpcl => Target::Htj2kLosslessRpcl,
            Coding::JpegXl => Target::JpegXlLossless,
            Coding::JpegBaseline => return None,
        })
    }
}

/// What is there to be negotiated about.
pub struct Held<'a> {
    /// The transfer syntax of frames on the wire.
    pub syntax: &'a TransferSyntax,
    /// They are samples.
    pub native: bool,
    /// Can they be coded so?
    pub makes: &'a dyn Fn(Coding) -> bool,
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

/// Does the client ask for no media type at all? `undefined` is what a viewer says that was told none.
pub fn names_none(accept: Option<&str>) -> bool {
    accept.is_none_or(|text| !text.contains('/'))
}

/// Does the client take what is stored, whatever it is? Viewers say so by no Accept, by `*/*`, and by octets of any transfer syntax
/// anywhere in their list.
pub fn takes_stored(accept: Option<&str>) -> bool {
    names_none(accept) || accept::parse(accept.unwrap_or_default()).iter().any(any_octets)
}

fn any_octets(range: &MediaRange) -> bool {
    let part = match range.essence.as_str() {
        "multipart/related" | "multipart/*" => range.parameter("type").unwrap_or("*/*"),
        bare => bare,
    };
    part == "*/*" || (part.eq_ignore_ascii_case(OCTET_STREAM) && range.parameter("transfer-syntax") == Some("*"))
}

/// Chooses the answer to a request for frames; `None` where none of what the client names can be given (406).
///
/// The reading of the viewers holds where they have one: who names no media type, or octets of any transfer syntax somewhere in the
/// list, gets the stored bytes. Else the best range decides, and of ranges that are equally good the one that is stored so; what is
/// not stored so is decoded or coded anew. `strict` reads the standard as written: octets without a named syntax are uncompressed, and
/// so is what is given to who names nothing.
pub fn negotiate(accept: Option<&str>, held: &Held<'_>, strict: bool) -> Option<Answer> {
    let ranges = accept::parse(accept.unwrap_or_default());
    if names_none(accept) {
        let form = if strict && !held.native && !held.syntax.is_video() { Form::Samples } else { Form::Stored };
        return Some(Answer { shape: Shape::Multipart, form });
    }
    let offers: Vec<(f32, Answer)> =
        ranges.iter().filter_map(|range| Some((range.quality, offer(range, held, strict)?))).collect();
    let as_stored = |answer: &Answer| answer.form == Form::Stored || (answer.form == Form::Samples && held.native);
    if !strict && ranges.iter().any(|range| range.essence != "*/*" && any_octets(range)) {
        return offers.iter().map(|offer| offer.1).find(as_stored);
    }
    let best = offers.first()?.0;
    let equals = || offers.iter().filter(|offer| offer.0 == best).map(|offer| offer.1);
    equals().find(as_stored).or_else(|| equals().next())
}

/// The answer that one media range allows, if any.
fn offer(range: &MediaRange, held: &Held<'_>, strict: bool) -> Option<Answer> {
    let syntax = range.parameter("transfer-syntax");
    if range.essence == "*/*" {
        return Some(Answer { shape: Shape::Multipart, form: Form::Stored });
    }
    if matches!(range.essence.as_str(), "multipart/related" | "multipart/*") {
        let (part, syntax) = match range.parameter("type") {
            Some(part) => (part.to_ascii_lowercase(), syntax),
            None => ("*/*".to_owned(), syntax.or(Some("*"))),
        };
        return form(&part, syntax, held, strict).map(|form| Answer { shape: Shape::Multipart, form });
    }
    form(&range.essence, syntax, held, strict).map(|form| Answer { shape: Shape::Single, form })
}

/// Which bytes a part of type `wanted` in `syntax` is.
fn form(wanted: &str, syntax: Option<&str>, held: &Held<'_>, strict: bool) -> Option<Form> {
    let wanted = canonical(wanted);
    let stored = held.syntax;
    if wanted == OCTET_STREAM {
        return match syntax {
            Some("*") if !strict => Some(Form::Stored),
            Some(uid) if uid == stored.uid() && !held.native => Some(Form::Stored),
            None | Some("*" | TransferSyntax::EXPLICIT_LITTLE) => Some(Form::Samples),
            Some(_) => None,
        };
    }
    let syntax_fits = syntax.is_none_or(|uid| uid == "*" || uid == stored.uid());
    if syntax_fits && accept::covers(wanted, of_frames(stored)) {
        return Some(Form::Stored);
    }
    Coding::named(wanted, syntax).filter(|coding| !stored.is_video() && (held.makes)(*coding)).map(Form::Coded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Form::*;
    use Shape::*;

    const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
    const JLS: &str = "1.2.840.10008.1.2.4.80";

    fn of(accept: Option<&str>, stored: &str, strict: bool) -> Option<(Shape, Form)> {
        let syntax = TransferSyntax::new(stored);
        let makes = |coding| coding != Coding::JpegXl;
        let held = Held { syntax: &syntax, native: !stored.contains(".4."), makes: &makes };
        negotiate(accept, &held, strict).map(|answer| (answer.shape, answer.form))
    }

    fn compatible(accept: &str, stored: &str) -> (Shape, Form) {
        of(Some(accept), stored, false).unwrap_or_else(|| panic!("406 for {accept}"))
    }

    fn strict(accept: &str, stored: &str) -> Option<(Shape, Form)> {
        of(Some(accept), stored, true)
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
            ("image/jphc", (Single, Stored)),
            ("image/jhc", (Single, Stored)),
            ("image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202", (Single, Stored)),
            ("application/octet-stream;transfer-syntax=*", (Single, Stored)),
            ("image/*", (Single, Stored)),
            ("image/jls, application/octet-stream; transfer-syntax=*", (Single, Stored)),
            ("image/jls, application/octet-stream; transfer-syntax=*;q=0.1", (Single, Stored)),
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
    fn what_is_not_asked_for_is_not_given() {
        for accept in [
            "text/html",
            "text/html,application/xhtml+xml",
            "image/jp2",
            "image/jxl",
            "multipart/related; type=image/jpeg",
            "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.203",
            "application/octet-stream; transfer-syntax=1.2.840.10008.1.2",
            "image/jphc;q=0",
        ] {
            assert_eq!(of(Some(accept), HTJ2K, false), None, "{accept}");
            assert_eq!(of(Some(accept), "1.2.840.10008.1.2.1", false), None, "{accept}");
        }
        assert_eq!(of(Some("image/*"), "1.2.840.10008.1.2.1", false), None, "no image of it is named");
    }

    #[test]
    fn what_is_named_is_made() {
        for (accept, coding) in [
            ("image/jls", Coding::JpegLs),
            ("image/jls; transfer-syntax=1.2.840.10008.1.2.4.80", Coding::JpegLs),
            ("image/jp2, image/x-jls", Coding::JpegLs),
            ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", Coding::JpegBaseline),
        ] {
            assert_eq!(compatible(accept, HTJ2K), (Single, Coded(coding)), "{accept}");
            assert_eq!(strict(accept, HTJ2K), Some((Single, Coded(coding))), "{accept}");
        }
        assert_eq!(compatible("multipart/related; type=\"image/jphc\"", JLS), (Multipart, Coded(Coding::Htj2k)));
        assert_eq!(
            compatible("image/jphc; transfer-syntax=\"1.2.840.10008.1.2.4.202\"", "1.2.840.10008.1.2.1"),
            (Single, Coded(Coding::Htj2kRpcl))
        );
        assert_eq!(compatible("image/jphc;q=0.9, image/jls", HTJ2K), (Single, Coded(Coding::JpegLs)));
        assert_eq!(compatible("image/jls, image/jphc", HTJ2K), (Single, Stored), "of equals what is there");
    }

    #[test]
    fn strict_reads_the_standard() {
        assert_eq!(
            strict("multipart/related; type=application/octet-stream; transfer-syntax=*", HTJ2K),
            Some((Multipart, Samples))
        );
        assert_eq!(strict("multipart/related; type=image/jphc", HTJ2K), Some((Multipart, Stored)));
        assert_eq!(strict("*/*", HTJ2K), Some((Multipart, Stored)));
        for accept in ["text/html", "image/jp2", "multipart/related; type=image/jphc; transfer-syntax=1.2.3"] {
            assert_eq!(strict(accept, HTJ2K), None, "{accept}");
        }
        assert_eq!(of(None, HTJ2K, true), Some((Multipart, Samples)), "the default");
        assert_eq!(of(None, "1.2.840.10008.1.2.4.102", true), Some((Multipart, Stored)), "a video has no other form");
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
