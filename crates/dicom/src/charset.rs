//! Specific Character Set (0008,0005): bytes of text to UTF-8, code extensions of ISO 2022 included (PS3.5 6.1; PS3.3 C.12.1.1.2).

use crate::data_set::Vr;
use encoding_rs::Encoding;

/// The character sets in force for a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    /// What bytes from 80 to FF mean until an escape sequence says otherwise.
    first: Set,
    /// Does one multi-byte code cover all bytes (no escape sequences)?
    whole: bool,
}

/// A set of characters that an escape sequence can bring in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    Latin1,
    /// One byte a character, by a code of the Encoding Standard.
    Single(&'static Encoding),
    /// ISO-IR 13 (JIS X 0201 katakana).
    Katakana,
    /// ISO-IR 87 (JIS X 0208), two 7-bit bytes.
    Kanji,
    /// ISO-IR 159 (JIS X 0212), two 7-bit bytes.
    KanjiSupplement,
    /// ISO-IR 149 (KS X 1001), two bytes from A1 on.
    Korean,
    /// ISO-IR 58 (GB 2312), two bytes from A1 on.
    Chinese,
    /// Encodings that are not extended: UTF-8, GB18030, GBK.
    Whole(&'static Encoding),
}

impl Default for Charset {
    fn default() -> Self {
        Charset { first: Set::Latin1, whole: false }
    }
}

impl Charset {
    /// The sets that the value of (0008,0005) names.
    pub(crate) fn parse(value: &[u8]) -> Charset {
        let first = value.split(|b| *b == b'\\').next().unwrap_or_default();
        let first = set_of(first.trim_ascii());
        Charset { first, whole: matches!(first, Set::Whole(_)) }
    }

    /// The values of a text element: decoded, divided at backslashes where its VR allows several, padding removed.
    pub(crate) fn values(&self, bytes: &[u8], vr: Vr) -> Vec<String> {
        if bytes.is_empty() {
            return Vec::new();
        }
        let text = if uses_charset(vr) { self.decode(bytes, vr == Vr::PN) } else { latin1(bytes) };
        match vr {
            Vr::ST | Vr::LT | Vr::UT | Vr::UR => vec![text.trim_end_matches([' ', '\0']).to_owned()],
            Vr::UC => text.split('\\').map(|v| v.trim_end_matches([' ', '\0']).to_owned()).collect(),
            _ => text.split('\\').map(|v| v.trim_matches([' ', '\0']).to_owned()).collect(),
        }
    }

    /// Text as UTF-8; what can't be read becomes U+FFFD.
    pub(crate) fn decode(&self, bytes: &[u8], name: bool) -> String {
        if let (Set::Whole(encoding), true) = (self.first, self.whole) {
            return encoding.decode_without_bom_handling(bytes).0.into_owned();
        }
        if bytes.is_ascii() && !bytes.contains(&0x1B) {
            return latin1(bytes);
        }
        let mut text = Extended { out: String::new(), g0: Set::Ascii, g1: self.first, first: self.first };
        text.run(bytes, name);
        text.out
    }
}

/// Text with escape sequences, read byte by byte.
struct Extended {
    out: String,
    g0: Set,
    g1: Set,
    first: Set,
}

impl Extended {
    fn run(&mut self, bytes: &[u8], name: bool) {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte == 0x1B {
                at += self.escape(&bytes[at..]);
                continue;
            }
            let two = |high: u8| bytes.get(at + 1).map(|next| [byte | high, next | high]);
            at += match (byte, self.g0, self.g1) {
                (0x21..=0x7E, Set::Kanji, _) => self.pair(encoding_rs::EUC_JP, two(0x80)),
                (0x21..=0x7E, Set::KanjiSupplement, _) => self.triple(two(0x80)),
                (0xA1..=0xFE, _, Set::Korean) => self.pair(encoding_rs::EUC_KR, two(0)),
                (0xA1..=0xFE, _, Set::Chinese) => self.pair(encoding_rs::GBK, two(0)),
                _ => self.single(byte, name),
            };
        }
    }

    fn single(&mut self, byte: u8, name: bool) -> usize {
        let encoding = match self.g1 {
            _ if byte < 0x80 => None,
            Set::Single(encoding) => Some(encoding),
            Set::Katakana => Some(encoding_rs::SHIFT_JIS),
            _ => None,
        };
        match encoding {
            Some(encoding) => self.out.push_str(&encoding.decode_without_bom_handling(&[byte]).0),
            None => self.out.push(char::from(byte)),
        }
        if matches!(byte, b'\\' | b'\r' | b'\n' | b'\t' | 0x0C) || (name && matches!(byte, b'^' | b'=')) {
            self.g0 = Set::Ascii;
            self.g1 = self.first;
        }
        1
    }

    fn pair(&mut self, encoding: &'static Encoding, pair: Option<[u8; 2]>) -> usize {
        match pair {
            Some(pair) => self.out.push_str(&encoding.decode_without_bom_handling(&pair).0),
            None => self.out.push('\u{FFFD}'),
        }
        2
    }

    fn triple(&mut self, pair: Option<[u8; 2]>) -> usize {
        match pair {
            Some([a, b]) => self.out.push_str(&encoding_rs::EUC_JP.decode_without_bom_handling(&[0x8F, a, b]).0),
            None => self.out.push('\u{FFFD}'),
        }
        2
    }

    /// Takes an escape sequence; returns its length (1 for one that is not known: its letters stay).
    fn escape(&mut self, bytes: &[u8]) -> usize {
        let (len, g0, g1) = match bytes.get(1..) {
            Some([b'$', b'(', b'D', ..]) => (4, Some(Set::KanjiSupplement), None),
            Some([b'$', b')', b'C', ..]) => (4, None, Some(Set::Korean)),
            Some([b'$', b')', b'A', ..]) => (4, None, Some(Set::Chinese)),
            Some([b'$', b'B' | b'@', ..]) => (3, Some(Set::Kanji), None),
            Some([b'(', b'B' | b'J', ..]) => (3, Some(Set::Ascii), None),
            Some([b')', b'I', ..]) => (3, None, Some(Set::Katakana)),
            Some([b'-', last, ..]) => match part_of_8859(*last) {
                Some(set) => (3, None, Some(set)),
                None => (1, None, None),
            },
            _ => (1, None, None),
        };
        self.g0 = g0.unwrap_or(self.g0);
        self.g1 = g1.unwrap_or(self.g1);
        len
    }
}

/// Final byte of `ESC -` to the part of ISO 8859 (PS3.3 Table C.12-3).
fn part_of_8859(last: u8) -> Option<Set> {
    Some(match last {
        b'A' => Set::Latin1,
        b'B' => Set::Single(encoding_rs::ISO_8859_2),
        b'C' => Set::Single(encoding_rs::ISO_8859_3),
        b'D' => Set::Single(encoding_rs::ISO_8859_4),
        b'L' => Set::Single(encoding_rs::ISO_8859_5),
        b'G' => Set::Single(encoding_rs::ISO_8859_6),
        b'F' => Set::Single(encoding_rs::ISO_8859_7),
        b'H' => Set::Single(encoding_rs::ISO_8859_8),
        b'M' => Set::Single(encoding_rs::WINDOWS_1254),
        b'b' => Set::Single(encoding_rs::ISO_8859_15),
        b'T' => Set::Single(encoding_rs::WINDOWS_874),
        _ => return None,
    })
}

/// Defined terms (PS3.3 C.12.1.1.2); writers leave out or change the punctuation.
fn set_of(term: &[u8]) -> Set {
    let digits: String = term.iter().filter(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
    let number = digits.strip_prefix("2022").filter(|rest| !rest.is_empty()).unwrap_or(&digits);
    match number {
        "" if term.eq_ignore_ascii_case(b"GBK") => Set::Whole(encoding_rs::GBK),
        "18030" => Set::Whole(encoding_rs::GB18030),
        "192" => Set::Whole(encoding_rs::UTF_8),
        "101" => Set::Single(encoding_rs::ISO_8859_2),
        "109" => Set::Single(encoding_rs::ISO_8859_3),
        "110" => Set::Single(encoding_rs::ISO_8859_4),
        "144" => Set::Single(encoding_rs::ISO_8859_5),
        "127" => Set::Single(encoding_rs::ISO_8859_6),
        "126" => Set::Single(encoding_rs::ISO_8859_7),
        "138" => Set::Single(encoding_rs::ISO_8859_8),
        "148" => Set::Single(encoding_rs::WINDOWS_1254),
        "203" => Set::Single(encoding_rs::ISO_8859_15),
        "166" => Set::Single(encoding_rs::WINDOWS_874),
        "13" => Set::Katakana,
        "149" => Set::Korean,
        "58" => Set::Chinese,
        _ => Set::Latin1,
    }
}

fn uses_charset(vr: Vr) -> bool {
    matches!(vr, Vr::SH | Vr::LO | Vr::ST | Vr::LT | Vr::UC | Vr::UT | Vr::PN)
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The names of PS3.5 Annexes H to K.
    #[test]
    fn japanese_name_with_kanji_and_hiragana() {
        let name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B";
        assert_eq!(Charset::parse(b"\\ISO 2022 IR 87").decode(name, true), "Yamada^Tarou=山田^太郎=やまだ^たろう");
    }

    #[test]
    fn japanese_name_in_katakana() {
        let name = b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J";
        assert_eq!(Charset::parse(b"ISO 2022 IR 13\\ISO 2022 IR 87").decode(name, true), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎");
    }

    #[test]
    fn korean_name() {
        let name = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7";
        assert_eq!(Charset::parse(b"\\ISO 2022 IR 149").decode(name, true), "Hong^Gildong=洪^吉洞");
    }

    #[test]
    fn chinese_and_unicode_names() {
        assert_eq!(
            Charset::parse(b"GB18030").decode(b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", true),
            "Wang^XiaoDong=王^小东"
        );
        assert_eq!(Charset::parse(b"ISO_IR 192").decode("王^小東".as_bytes(), true), "王^小東");
    }

    #[test]
    fn a_backslash_within_a_character_does_not_divide() {
        // GBK: the second byte of this character is 5C.
        assert_eq!(Charset::parse(b"GB18030").values(b"\x81\x5c\\x", Vr::LO).len(), 2);
    }

    #[test]
    fn unknown_terms_and_stray_escapes_are_passed_over() {
        assert_eq!(Charset::parse(b"nonsense").decode(b"\xe9\x1bZ", false), "\u{e9}Z");
    }
}
