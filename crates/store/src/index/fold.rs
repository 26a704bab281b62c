//! Texts as they are compared (PS3.4 C.2.2.2.1.1, C.2.2.2.4; PS3.5 6.2.1).
//!
//! Two texts are folded to one where they differ in case, in the accents of Latin and Greek letters, in width (half-width katakana,
//! full-width Latin), in white space, or in how Unicode writes the same characters. Nothing else is taken away: a voiced kana is not
//! the unvoiced one, a Cyrillic, Thai or Indian letter keeps its marks, and a Hangul syllable is one character.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_canonical, decompose_compatible, is_combining_mark};

/// A text as it is compared. Folding twice changes nothing.
pub fn fold(text: &str) -> String {
    let one_width = text.chars().flat_map(narrow_or_wide).filter(|c| !is_variation_selector(*c));
    let composed: String = one_width.nfc().flat_map(char::to_lowercase).nfc().collect();
    let mut out = String::with_capacity(composed.len());
    let mut loses_marks = false;
    for c in composed.chars() {
        match c {
            _ if c.is_whitespace() => {
                loses_marks = false;
                if !out.is_empty() && !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            _ if loses_marks && is_combining_mark(c) => {}
            'ς' => {
                loses_marks = true;
                out.push('σ');
            }
            _ => {
                let base = base(c);
                loses_marks = is_latin_or_greek(base);
                out.push(if loses_marks { base } else { c });
            }
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The component groups of a person name that hold something, folded, with their places: alphabetic, ideographic, phonetic.
/// Empty components at the end of a group mean nothing.
pub fn groups(name: &str) -> Vec<(usize, String)> {
    let groups = name.split('=').map(|group| without_empty_end(&fold_components(group)).to_owned());
    groups.enumerate().filter(|(_, group)| !group.is_empty()).collect()
}

/// What one component group of a person name is matched by: one of the patterns. An empty one matches an empty group.
///
/// What is stored has no empty components at its end, so those of the pattern, and stars among them, may match nothing:
/// `LEE^*` is `lee^*` or `lee`.
pub fn patterns(group: &str) -> Vec<String> {
    let folded = fold_components(group);
    let fixed = folded.trim_end_matches(['^', '*']);
    let end = &folded[fixed.len()..];
    match end.find('*') {
        None => vec![fixed.to_owned()],
        Some(0) => vec![format!("{fixed}*")],
        // A star takes whatever follows it.
        Some(star) => vec![format!("{fixed}{}", &end[..=star]), fixed.to_owned()],
    }
}

fn fold_components(group: &str) -> String {
    group.split('^').map(fold).collect::<Vec<_>>().join("^")
}

fn without_empty_end(group: &str) -> &str {
    group.trim_end_matches('^')
}

/// Half-width katakana and Hangul become full-width, full-width Latin becomes ASCII; but for what delimits or is a wild card.
fn narrow_or_wide(c: char) -> impl Iterator<Item = char> {
    let mut out = Vec::with_capacity(1);
    match c {
        '\u{FF00}'..='\u{FFEF}' if !"＊？＾＝＼".contains(c) => decompose_compatible(c, |c| out.push(c)),
        _ => out.push(c),
    }
    out.into_iter()
}

/// Selects one of the shapes of the same character.
fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// The letter without what is above or below it.
fn base(c: char) -> char {
    let mut first = None;
    decompose_canonical(c, |c| first = first.or(Some(c)));
    first.unwrap_or(c)
}

fn is_latin_or_greek(c: char) -> bool {
    c.is_alphabetic()
        && matches!(c, 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{24F}' | '\u{250}'..='\u{2AF}' | '\u{1E00}'..='\u{1EFF}'
            | '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::query::wild;
    use proptest::prelude::*;

    #[test]
    fn case_accents_and_width_do_not_count() {
        for (a, b) in [
            ("  MÜLLER   Ana\u{301}  ", "muller ana"),
            ("İpek", "ipek"),
            ("ΠΑΠΑΔΟΠΟΥΛΟΣ", "Παπαδόπουλος"),
            ("ﾔﾏﾀﾞ", "ヤマダ"),
            ("Ｓｍｉｔｈ", "smith"),
            ("\u{1100}\u{1161}\u{11A8}", "각"),
            ("が", "か\u{3099}"),
            ("ИВАНОВ", "иванов"),
            ("葛\u{E0100}", "葛"),
            ("山田\u{3000}太郎", "山田 太郎"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn different_names_stay_different() {
        for (a, b) in [
            ("ガ", "カ"),
            ("パ", "バ"),
            ("ﾊﾞ", "ﾊ"),
            ("やまだ", "ヤマダ"),
            ("や", "ゃ"),
            ("김", "기"),
            ("가", "ㄱㅏ"),
            ("Андрей", "Андреи"),
            ("Ёлкин", "Елкин"),
            ("กา", "กำ"),
            ("कि", "की"),
            ("कि", "क"),
            ("שָׁ", "ש"),
            ("Groß", "Gross"),
            ("Møller", "Moller"),
            ("＊", "*"),
            ("Ⅱ", "II"),
        ] {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn a_syllable_is_one_character() {
        for text in ["영", "\u{1112}\u{1161}\u{11AB}", "ガ", "ｶﾞ", "é", "e\u{301}", "葛\u{E0100}"] {
            assert_eq!(fold(text).chars().count(), 1, "{text}");
        }
    }

    #[test]
    fn groups_have_their_places() {
        let of = |name| groups(name).into_iter().map(|(place, text)| format!("{place} {text}")).collect::<Vec<_>>();
        assert_eq!(of("Yamada^Tarou ^^=山田^太郎=やまだ^たろう"), ["0 yamada^tarou", "1 山田^太郎", "2 やまだ^たろう"]);
        assert_eq!(of("=山田^太郎="), ["1 山田^太郎"]);
        assert_eq!(of("^^="), Vec::<String>::new());
    }

    #[test]
    fn empty_components_at_the_end_mean_nothing() {
        for (group, expected) in [
            ("LEE^*", &["lee^*", "lee"][..]),
            ("LEE^", &["lee"]),
            ("LEE^*^*^", &["lee^*", "lee"]),
            ("LEE*^", &["lee*"]),
            ("LEE^?", &["lee^?"]),
            ("*^*", &["*"]),
            ("^*", &["^*", ""]),
            ("^", &[""]),
        ] {
            assert_eq!(patterns(group), expected, "{group}");
        }
    }

    /// The definition: a pattern matches the group as it is, followed by as many empty components as it names itself.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            Some(('^', rest)) if text.is_empty() => oracle(rest, text),
            Some(('?', rest)) => !text.is_empty() && oracle(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
        }
    }

    /// Letters of the tests, each with what it is compared as.
    fn letter(c: char) -> char {
        match c {
            'A' | 'ä' | 'Á' => 'a',
            'ｶ' => 'カ',
            other => other,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn patterns_agree_with_the_definition(pattern in "[aA영수カガ^*?]{0,7}", stored in "[aÁä영수ｶガй^]{0,7}") {
            let plain = |text: &str| text.chars().map(letter).collect::<Vec<char>>();
            let trimmed = stored.trim_end_matches('^');
            let found = patterns(&pattern).iter().any(|p| wild(p, &fold_components(trimmed)));
            prop_assert_eq!(found, oracle(&plain(&pattern), &plain(trimmed)), "{} {}", pattern, stored);
        }

        #[test]
        fn folding_again_changes_nothing(text in "\\PC{0,12}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn how_unicode_writes_it_does_not_count(text in "[\u{AC00}-\u{AC40}\u{3041}-\u{30FF}\u{400}-\u{45F}a-zà-ÿ\u{1EA0}-\u{1EF9}]{0,8}") {
            prop_assert_eq!(fold(&text.nfd().collect::<String>()), fold(&text.nfc().collect::<String>()));
        }

        /// Outside of Latin and Greek only case is lost.
        #[test]
        fn other_scripts_keep_all_they_have(a in "[\u{AC00}-\u{AC20}\u{3041}-\u{30FE}\u{E01}-\u{E3A}\u{905}-\u{94D}\u{430}-\u{45F}]{1,3}",
            b in "[\u{AC00}-\u{AC20}\u{3041}-\u{30FE}\u{E01}-\u{E3A}\u{905}-\u{94D}\u{430}-\u{45F}]{1,3}") {
            let written = |text: &str| text.nfc().collect::<String>();
            prop_assert_eq!(fold(&a) == fold(&b), written(&a) == written(&b), "{} {}", a, b);
        }
    }
}
