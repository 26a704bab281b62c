//! What a DICOMweb path names: study, series, instance, frames (PS3.18 8.2).

use crate::access::{For, Forwarded, LinkPath};
use crate::error::{Answered, Problem};
use crate::known::{self, Asked};
use crate::query::Parameters;
use crate::state::App;
use ::access::Reach;
use archive::Instance;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::{HeaderMap, Method, header, request::Parts};
use dicom::Uid;
use std::sync::Arc;

/// A DICOMweb request, taken apart. Whoever holds one holds UIDs that are UIDs.
#[derive(Debug, Clone)]
pub struct Target {
    /// GET or HEAD.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// Path of the URL.
    pub path: String,
    /// Path and query, as they came.
    whole: String,
    /// The query.
    pub parameters: Parameters,
    /// Study Instance UID.
    pub study: Option<Uid>,
    /// Series Instance UID.
    pub series: Option<Uid>,
    /// SOP Instance UID.
    pub instance: Option<Uid>,
    /// Frame numbers, from 1.
    pub frames: Option<Vec<u32>>,
    /// What follows in the path.
    pub rest: Option<String>,
    /// Who asks.
    pub asker: For,
    /// `scheme://authority` that was asked.
    asked: String,
    /// What paths begin with that are asked by a link.
    link: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answered<Target> {
        let named = RawPathParams::from_request_parts(parts, state).await;
        let named = named.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
        let value = |name: &str| named.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_owned());
        let uid = |name: &'static str| match value(name) {
            None => Ok(None),
            // Padding has no place in an address.
            Some(text) => Uid::parse(&text)
                .filter(|uid| uid.as_str() == text)
                .map(Some)
                .ok_or_else(|| Problem::bad_request(format!("the {name} in the path is no UID"))),
        };
        let frames = match value("frames") {
            None => None,
            Some(text) => Some(
                parse_frame_list(&text)
                    .ok_or_else(|| Problem::bad_request("frames are numbers from 1, joined by commas"))?,
            ),
        };
        let asker = For::from_request_parts(parts, state).await;
        Ok(Target {
            study: uid("study")?,
            series: uid("series")?,
            instance: uid("instance")?,
            frames,
            rest: value("path"),
            asker: asker.unwrap_or_else(|never| match never {}),
            link: parts.extensions.get::<LinkPath>().map(LinkPath::prefix),
            asked: asked(parts),
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            path: parts.uri.path().to_owned(),
            whole: parts.uri.path_and_query().map_or_else(String::new, |whole| whole.as_str().to_owned()),
            parameters: Parameters::parse(parts.uri.query()),
        })
    }
}

impl Target {
    /// Study Instance UID as text.
    pub fn study(&self) -> Answered<&str> {
        self.study.as_ref().map(Uid::as_str).ok_or_else(|| Problem::not_found("study"))
    }

    /// Series Instance UID as text.
    pub fn series(&self) -> Option<&str> {
        self.series.as_ref().map(Uid::as_str)
    }

    /// The DICOMweb root as the client sees it: a URL that is absolute, since viewers disagree about what a relative one is
    /// relative to.
    pub fn root(&self, app: &App) -> String {
        super::root(&format!("{}{}", self.place(app), self.link.as_deref().unwrap_or_default()))
    }

    /// The same without the secret of a link, which nothing keeps.
    pub fn kept_root(&self, app: &App) -> String {
        super::root(&self.place(app))
    }

    /// How far reading reaches for who asks.
    pub fn reach(&self) -> Reach {
        self.asker.reach()
    }

    /// Scheme and authority, and a path before the root where there is one.
    fn place(&self, app: &App) -> String {
        let asked = match (&app.config.public_url, self.asked.strip_prefix("http://")) {
            (Some(url), _) => url.clone(),
            (None, Some(rest)) if app.config.tls.is_some() => format!("https://{rest}"),
            (None, _) => self.asked.clone(),
        };
        asked.trim_end_matches('/').to_owned()
    }

    /// The media types the client accepts: the query's `accept` wins over the header, which may come in several lines.
    pub fn accept(&self) -> Option<String> {
        if let Some(accept) = self.parameters.get("accept") {
            return Some(accept.to_owned());
        }
        let lines: Vec<_> =
            self.headers.get_all(header::ACCEPT).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    }

    /// What was asked for, as what is known is found by; `None`: it can't be.
    pub fn asked(&self) -> Option<Asked<'_>> {
        let below_root = self.whole.strip_prefix(known::ROOT).unwrap_or(&self.whole);
        Asked::of(&self.method, &self.headers, below_root)
    }

    /// The instance that the path names.
    pub fn find_instance(&self, app: &App) -> Answered<Arc<Instance>> {
        let missing = || Problem::not_found("instance");
        let (series, instance) = (self.series().ok_or_else(missing)?, self.instance.as_ref().ok_or_else(missing)?);
        app.archive.instance(self.study()?, series, instance.as_str())?.ok_or_else(missing)
    }

    /// All instances that the path names: one, or those of a series or study. Never none.
    pub fn find_instances(&self, app: &App) -> Answered<Vec<Arc<Instance>>> {
        if self.instance.is_some() {
            return Ok(vec![self.find_instance(app)?]);
        }
        let found = app.archive.instances(self.study()?, self.series())?;
        if found.is_empty() {
            Err(Problem::not_found(if self.series.is_some() { "series" } else { "study" }))
        } else {
            Ok(found)
        }
    }
}

/// The target has scheme and authority in HTTP/2; else Host has the authority. The guard let only names of ours through.
fn asked(parts: &Parts) -> String {
    let by_proxy = parts.extensions.get::<Forwarded>().is_some_and(|known| known.https);
    let scheme = if by_proxy { "https" } else { parts.uri.scheme_str().unwrap_or("http") };
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = parts.uri.authority().map(|a| a.as_str()).or_else(host).unwrap_or("localhost");
    format!("{scheme}://{authority}")
}

/// Frame numbers of a path, `1` or `1,3,2`: counted from 1, in the order asked for. At most 4096 of them.
fn parse_frame_list(text: &str) -> Option<Vec<u32>> {
    let list: Vec<u32> = text.split(',').map(|n| n.trim().parse().ok().filter(|n| *n >= 1)).collect::<Option<_>>()?;
    (list.len() <= 4096).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lists() {
        assert_eq!(parse_frame_list("1"), Some(vec![1]));
        assert_eq!(parse_frame_list("3,1,2"), Some(vec![3, 1, 2]));
        for text in ["", "0", "1,", "-1", "1-3", "x", "99999999999"] {
            assert_eq!(parse_frame_list(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_was_asked_is_where_addresses_begin() {
        let of = |uri: &str, host: &str| {
            let request = axum::http::Request::builder().uri(uri).header(header::HOST, host).body(()).unwrap();
            asked(&request.into_parts().0)
        };
        assert_eq!(of("/dicom-web/studies", "pacs.example.org:8042"), "http://pacs.example.org:8042");
        assert_eq!(of("https://pacs.example.org/dicom-web/studies", "other"), "https://pacs.example.org");
    }
}
