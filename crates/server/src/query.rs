//! The query part of a URL (PS3.18 8.3; RFC 3986 3.4).

use percent_encoding::percent_decode_str;

/// Names and values, decoded, in the order of the URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query; `+` is a space, as forms write it.
    pub fn parse(query: Option<&str>) -> Parameters {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Parameters(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// These names and values.
    pub fn of<const N: usize>(pairs: [(&str, String); N]) -> Parameters {
        Parameters(pairs.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// The first value of a name; empty ones count as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, v)| *n == name && !v.is_empty()).map(|(_, v)| v)
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs() {
        let parameters = Parameters::parse(Some("a=1&b=x%2Cy&&c&d=p+q&a=2&%ff=3"));
        assert_eq!(parameters.get("a"), Some("1"));
        assert_eq!(parameters.get("b"), Some("x,y"));
        assert_eq!(parameters.get("c"), None);
        assert_eq!(parameters.get("d"), Some("p q"));
        assert_eq!(parameters.iter().filter(|(n, _)| *n == "a").count(), 2);
        assert_eq!(Parameters::parse(None).iter().count(), 0);
    }
}
