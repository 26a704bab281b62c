//! Reasons for which images are kept, in a few classes that can be counted.

/// Words that only reasons of a class have; the first that is found names it.
const CLASSES: [(&str, &[&str]); 16] = [
    ("verification", &["verification failed"]),
    ("second-opinion", &["second opinion"]),
    (
        "damaged",
        &[
            "truncated",
            "malformed",
            "the file says",
            "attributes say, not",
            "are there and whole",
            "images where",
            "over the limit",
        ],
    ),
    ("no-pixels", &["no pixels"]),
    ("video", &["video"]),
    ("float", &["floating point"]),
    ("signed", &["digitally signed"]),
    ("overlay", &["overlay"]),
    ("stray-bits", &["bits above", "low end of", "bytes more than"]),
    ("lossy", &["lossy"]),
    ("already", &["already", "stays jpeg", "stays as it is"]),
    ("bits", &["single-bit", "bits allocated", "deep"]),
    ("colour", &["photometric", "colour transform", "its colours"]),
    ("no-rule", &["no rule"]),
    ("size", &["not smaller", "not be smaller"]),
    ("unsupported", &["unsupported", "no encoder", "no decoder", "can't be", "jpeg-ls:", "htj2k:", "jpeg xl"]),
];

/// All that [`reason_class`] says.
pub const REASON_CLASSES: [&str; 17] = [
    CLASSES[0].0,
    CLASSES[1].0,
    CLASSES[2].0,
    CLASSES[3].0,
    CLASSES[4].0,
    CLASSES[5].0,
    CLASSES[6].0,
    CLASSES[7].0,
    CLASSES[8].0,
    CLASSES[9].0,
    CLASSES[10].0,
    CLASSES[11].0,
    CLASSES[12].0,
    CLASSES[13].0,
    CLASSES[14].0,
    CLASSES[15].0,
    "other",
];

/// The class of a reason; `other` of one that is not known, as a rule of one's own may give.
pub fn reason_class(reason: &str) -> &'static str {
    let reason = reason.to_lowercase();
    let found = CLASSES.iter().find(|(_, words)| words.iter().any(|word| reason.contains(word)));
    found.map_or("other", |class| class.0)
}

/// A reason without what is of one image alone: the number of a frame or of a byte becomes `N`.
pub fn general_reason(reason: &str) -> String {
    let mut of_one_image = false;
    let general = |word: &str| {
        let number = word.trim_end_matches([':', ',', ';', '.']);
        let is_number = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
        let shown = if of_one_image && is_number { format!("N{}", &word[number.len()..]) } else { word.to_owned() };
        of_one_image = matches!(word, "frame" | "byte" | "sample");
        shown
    };
    reason.split(' ').map(general).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_their_class() {
        for (reason, class) in [
            ("verification failed: frame 1 decodes to other samples", "verification"),
            ("the second opinion differs: frame 1: openjp2 decodes other samples", "second-opinion"),
            ("3 of 4 frames are there and whole", "damaged"),
            ("the frames are JPEG-LS Lossless, but the file says JPEG Baseline (Process 1)", "damaged"),
            ("there are no pixels", "no-pixels"),
            ("video stays as it is", "video"),
            ("floating point pixels are not compressed", "float"),
            ("it is digitally signed: coding it again would break the signature", "signed"),
            ("an overlay lies in unused bits of the pixels", "overlay"),
            ("frame 1: bits above the high bit are in use", "stray-bits"),
            ("already lossy: coding it again would only make it larger", "lossy"),
            ("it is JPEG-LS Lossless already", "already"),
            ("JPEG stays JPEG", "already"),
            ("single-bit pixels stay as they are", "bits"),
            ("32 bits allocated can't be compressed here", "bits"),
            ("photometric interpretation CMYK with 4 samples a pixel is not coded again", "colour"),
            ("no rule matches", "no-rule"),
            ("the new file would not be smaller", "size"),
            ("JPEG XL is not smaller: 20 bytes for 10 of JPEG", "size"),
            ("unsupported: transfer syntax 1.2", "unsupported"),
            ("the department wants it so", "other"),
        ] {
            assert_eq!(reason_class(reason), class, "{reason}");
            assert!(REASON_CLASSES.contains(&class));
        }
    }

    #[test]
    fn only_numbers_of_one_image_are_left_out() {
        assert_eq!(
            general_reason("frame 12: bits above the high bit are in use"),
            "frame N: bits above the high bit are in use"
        );
        assert_eq!(general_reason("it is HTJ2K Lossless RPCL already"), "it is HTJ2K Lossless RPCL already");
        assert_eq!(general_reason("more than 16 bits allocated"), "more than 16 bits allocated");
        assert_eq!(general_reason("a sequence at byte 40316 needs 8 bytes"), "a sequence at byte N needs 8 bytes");
    }
}
