//! Wild card matching (PS3.4 C.2.2.2.4): `*` is any run of characters, `?` any one.

/// A value with wild cards, made ready.
#[derive(Debug, PartialEq, Eq)]
pub enum Pattern<'a> {
    /// Matches everything.
    All,
    /// No wild card in it.
    Exact(&'a str),
    /// Only one, at the end: the text before it.
    Prefix(&'a str),
    /// Anything else.
    Wild(&'a str),
}

impl Pattern<'_> {
    /// How a value is matched.
    pub fn of(value: &str) -> Pattern<'_> {
        let fixed = value.trim_end_matches('*');
        match fixed.contains(['*', '?']) {
            true => Pattern::Wild(value),
            false if fixed.len() == value.len() => Pattern::Exact(value),
            false if fixed.is_empty() => Pattern::All,
            false => Pattern::Prefix(fixed),
        }
    }
}

/// Does the whole text match the pattern? Takes time in proportion to the product of their lengths at most.
pub fn wild(pattern: &str, text: &str) -> bool {
    if let Some(inside) = pattern.strip_prefix('*').and_then(|p| p.strip_suffix('*'))
        && !inside.contains(['*', '?'])
    {
        return text.contains(inside);
    }
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on after the last star when what follows it does not match.
    let mut retry = None;
    loop {
        let before_text = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                retry = Some((pattern.clone(), before_text.clone()));
                text = before_text;
            }
            (Some('?'), Some(_)) => {}
            (Some(p), Some(t)) if p == t => {}
            (None, None) => return true,
            _ => {
                let Some((after_star, mut from)) = retry.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                retry = Some((after_star.clone(), from.clone()));
                (pattern, text) = (after_star, from);
            }
        }
    }
}

/// Does each of the words (separated by spaces) begin a word of the name?
pub fn words(words: &str, text: &str) -> bool {
    let begins = |word: &str| text.split([' ', '^', '-', '.', ',']).any(|of| of.starts_with(word));
    words.split(' ').all(begins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, word for word.
    fn oracle(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && oracle(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?%_é]{0,8}", text in "[ab%_é*?]{0,8}") {
            let (p, t): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(wild(&pattern, &text), oracle(&p, &t));
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!wild(&"a*".repeat(500), &format!("{}b", "a".repeat(1000).replace('a', "c"))));
        assert!(!wild(&format!("{}b", "a*".repeat(500)), &"a".repeat(1000)));
    }

    #[test]
    fn patterns_are_told_apart() {
        assert_eq!(Pattern::of("*"), Pattern::All);
        assert_eq!(Pattern::of("**"), Pattern::All);
        assert_eq!(Pattern::of("a*"), Pattern::Prefix("a"));
        assert_eq!(Pattern::of("a%_"), Pattern::Exact("a%_"));
        assert_eq!(Pattern::of("*a*"), Pattern::Wild("*a*"));
        assert_eq!(Pattern::of("?"), Pattern::Wild("?"));
    }

    #[test]
    fn words_begin_words() {
        assert!(words("smi jo", "smith^john paul"));
        assert!(words("paul", "smith^john paul"));
        assert!(!words("mith", "smith^john"));
    }
}
