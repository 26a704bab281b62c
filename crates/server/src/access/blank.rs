//! A study that may not be seen: it is asked for again under a name that no study has, so that what is answered is what would be
//! answered if it were not there, by the same handler, with the same look into the index.

use super::asker::{Forwarded, LinkPath};
use crate::connections::{Client, Peer};
use crate::query::Parameters;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::Uri;
use dicom::Uid;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Parameters of a query that name a study.
const NAMES: [&str; 1] = ["studyUID"];

/// A Study Instance UID that no study has: made anew by every server, and told to nobody.
pub struct Blank(String);

impl Default for Blank {
    fn default() -> Blank {
        let mut bytes = [0; 15];
        // Without randomness it is still a name that nobody has a reason to give.
        let _ = getrandom::fill(&mut bytes);
        let number = bytes.iter().fold(1u128, |number, byte| number << 8 | u128::from(*byte));
        Blank(format!("2.25.{number}"))
    }
}

impl Blank {
    /// The request as it would be for a study that is not there. It goes through the routes anew: nothing of the old one but its
    /// headers, its body and where it came from is kept.
    pub fn instead(&self, request: Request) -> Request<Body> {
        let (parts, body) = request.into_parts();
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let uri = self.uri(&parts.uri, route.unwrap_or_default());
        let mut blank = Request::new(body);
        *blank.method_mut() = parts.method;
        *blank.version_mut() = parts.version;
        *blank.headers_mut() = parts.headers;
        *blank.uri_mut() = uri;
        let extensions = blank.extensions_mut();
        parts.extensions.get::<Client>().map(|kept| extensions.insert(*kept));
        parts.extensions.get::<Peer>().map(|kept| extensions.insert(*kept));
        parts.extensions.get::<Forwarded>().map(|kept| extensions.insert(*kept));
        parts.extensions.get::<LinkPath>().cloned().map(|kept| extensions.insert(kept));
        blank
    }

    fn uri(&self, uri: &Uri, route: &str) -> Uri {
        let mut known = route.split('/');
        let pieces = uri.path().split('/').map(|piece| match known.next() {
            Some("{study}") => self.0.as_str(),
            _ => piece,
        });
        let mut target = pieces.collect::<Vec<_>>().join("/");
        if let Some(query) = uri.query() {
            let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let pairs = Parameters::parse(Some(query));
            let pairs = pairs.iter().map(|(name, value)| {
                let value = if NAMES.contains(&name) { &self.0 } else { value };
                format!("{}={}", encoded(name), encoded(value))
            });
            target = format!("{target}?{}", pairs.collect::<Vec<_>>().join("&"));
        }
        let mut parts = uri.clone().into_parts();
        // What was an address with another name in it is one.
        parts.path_and_query =
            Some(target.parse().unwrap_or(axum::http::uri::PathAndQuery::from_static("/dicom-web/studies/0")));
        Uri::from_parts(parts).unwrap_or_default()
    }
}

/// The studies that a query names.
pub fn named(uri: &Uri) -> Vec<String> {
    let parameters = Parameters::parse(uri.query());
    let named = parameters.iter().filter(|(name, _)| NAMES.contains(name)).map(|(_, value)| value.to_owned());
    named.filter(|text| Uid::parse(text).is_some_and(|uid| uid.as_str() == text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_gone_and_the_rest_stays() {
        let blank = Blank("2.25.7".into());
        let of = |uri: &str, route| blank.uri(&uri.parse().unwrap(), route).to_string();
        let frame = "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}";
        assert_eq!(
            of("/dicom-web/studies/1.2/series/1.2/instances/1.2/frames/1?accept=a/b", frame),
            "/dicom-web/studies/2.25.7/series/1.2/instances/1.2/frames/1?accept=a%2Fb"
        );
        let wado = of("https://h/wado?requestType=WADO&studyUID=1.2&seriesUID=1.3&studyUID=1.4", "/wado");
        assert_eq!(wado, "https://h/wado?requestType=WADO&studyUID=2%2E25%2E7&seriesUID=1%2E3&studyUID=2%2E25%2E7");
        assert_eq!(named(&"/wado?studyUID=1.2&studyUID=x&%73tudyUID=1.4".parse().unwrap()), ["1.2", "1.4"]);
    }

    #[test]
    fn no_two_servers_have_the_same() {
        let (one, other) = (Blank::default(), Blank::default());
        assert!(one.0 != other.0 && Uid::parse(&one.0).is_some_and(|uid| uid.as_str() == one.0));
    }
}
