//! The nearest name to one that is not known.

/// Below this likeness (1 is equal) a name is no help.
const LIKE: f64 = 0.75;

/// "did you mean", or where nothing is near, all names.
pub(super) fn of<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> String {
    match nearest(wrong, names.clone()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("{what} are {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// The known name that is most like this one.
pub(super) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let likeness = |name: &str| strsim::jaro_winkler(&wrong, &name.to_lowercase());
    let best = names.into_iter().map(|name| (likeness(name), name)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= LIKE).then_some(best.1)
}

/// What the parser says of an unknown field, with the nearest of those it expected: "unknown field `x`, expected one of
/// `a`, `b`" becomes its first part and the hint.
pub(super) fn of_field(message: &str) -> Option<(String, String)> {
    let (head, expected) = message.split_once(", expected ")?;
    let quoted = |text: &'_ str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let wrong = head.contains("unknown field").then(|| quoted(head).pop()).flatten()?;
    let names = quoted(expected);
    Some((head.to_owned(), of(&wrong, names.iter().map(String::as_str), "fields")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_or_all() {
        assert_eq!(of("sample", ["samples", "rows"], "fields"), "did you mean \"samples\"?");
        assert_eq!(of("zzz", ["samples", "rows"], "fields"), "fields are samples, rows");
        let (what, hint) = of_field("line 1: unknown field `modalty`, expected one of `rows`, `modality`").unwrap();
        assert_eq!((what.as_str(), hint.as_str()), ("line 1: unknown field `modalty`", "did you mean \"modality\"?"));
        assert_eq!(of_field("line 1: expected a string"), None);
    }
}
