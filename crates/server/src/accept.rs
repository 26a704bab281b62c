//! The Accept header as a list of media ranges (RFC 9110 12.5.1), read as leniently as real viewers write it.

/// One media range, with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaRange {
    /// `type/subtype`, lower case; `*/*` and `type/*` included.
    pub essence: String,
    /// Parameters but `q`, names in lower case, values without quotes.
    pub parameters: Vec<(String, String)>,
    /// Weight, 0.0 to 1.0.
    pub quality: f32,
}

impl MediaRange {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Is `essence` (lower case `type/subtype`) within this range?
    pub fn covers(&self, essence: &str) -> bool {
        covers(&self.essence, essence)
    }
}

/// Is the media type `essence` within `range` (`*/*`, `type/*` or itself)?
pub fn covers(range: &str, essence: &str) -> bool {
    range == "*/*"
        || range == essence
        || range.strip_suffix("/*").is_some_and(|kind| essence.split('/').next() == Some(kind))
}

/// The acceptable ranges, best first; equal weights keep their order. What is not a media range (`undefined`, an empty
/// element) is left out, and so is what has weight 0.
pub fn parse(header: &str) -> Vec<MediaRange> {
    let mut ranges: Vec<_> =
        split_outside_quotes(header, ',').filter_map(parse_range).filter(|r| r.quality > 0.0).collect();
    ranges.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    ranges
}

/// One media type with its parameters, as a Content-Type has it.
pub fn media_type(text: &str) -> Option<MediaRange> {
    parse_range(text)
}

fn parse_range(text: &str) -> Option<MediaRange> {
    let mut pieces = split_outside_quotes(text, ';');
    // In a query, `application/dicom+json` reaches us with a space for its plus.
    let essence = pieces.next()?.trim().to_ascii_lowercase().replace(' ', "+");
    let (kind, subtype) = essence.split_once('/')?;
    if kind.is_empty() || subtype.is_empty() {
        return None;
    }
    let mut range = MediaRange { essence, parameters: Vec::new(), quality: 1.0 };
    for (name, value) in pieces.filter_map(|p| p.split_once('=')) {
        let (name, value) = (name.trim().to_ascii_lowercase(), unquote(value.trim()));
        match name.as_str() {
            "q" => range.quality = value.parse().unwrap_or(1.0f32).clamp(0.0, 1.0),
            _ => range.parameters.push((name, value)),
        }
    }
    Some(range)
}

fn unquote(value: &str) -> String {
    match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(inner) => inner.replace('\\', ""),
        None => value.trim_matches('"').to_owned(),
    }
}

fn split_outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        !quoted && c == separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_quotes_and_weights() {
        let ranges = parse("image/png;q=0.5, multipart/related; type=\"image/jphc\"; Transfer-Syntax=*, text/html;q=0");
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0].essence, "multipart/related");
        assert_eq!(ranges[0].parameter("type"), Some("image/jphc"));
        assert_eq!(ranges[0].parameter("transfer-syntax"), Some("*"));
        assert_eq!(ranges[1].essence, "image/png");
    }

    #[test]
    fn an_array_joined_by_a_bare_comma() {
        let ranges =
            parse("multipart/related; type=application/octet-stream; transfer-syntax=*,image/jls;transfer-syntax=*");
        assert_eq!(ranges.iter().map(|r| r.essence.as_str()).collect::<Vec<_>>(), ["multipart/related", "image/jls"]);
    }

    #[test]
    fn what_is_no_media_range_is_left_out() {
        for text in ["undefined", "", ",,", "/", "image/", ";q=1"] {
            assert_eq!(parse(text), [], "{text}");
        }
        assert_eq!(parse("application/dicom json")[0].essence, "application/dicom+json");
        assert_eq!(parse("multipart/related; type=\"a/b,c\"").len(), 1, "a comma within quotes");
        assert_eq!(parse("multipart/related; type=\"image/jls").len(), 1, "a quote without its end");
    }

    #[test]
    fn covering() {
        assert!(covers("*/*", "image/jls") && covers("image/*", "image/jls") && covers("image/jls", "image/jls"));
        assert!(!covers("image/*", "application/dicom") && !covers("image/png", "image/jls"));
    }
}
