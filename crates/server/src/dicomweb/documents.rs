//! What is rendered as text (PS3.18 8.7.4): structured reports as HTML or plain text, encapsulated documents as what they hold.

use super::bulkdata;
use super::target::Target;
use crate::accept;
use crate::error::{Answered, Problem};
use crate::media;
use crate::render::report;
use crate::reply::Reply;
use crate::representation::Representation;
use crate::state::App;
use archive::Instance;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use std::sync::Arc;

/// Nothing of a report runs or is fetched.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";
/// Encapsulated Document (0042,0011), as bulk data names it.
const DOCUMENT: &str = "00420011";

/// What an instance without an image holds to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A structured report.
    Report,
    /// An encapsulated document.
    Document,
}

impl Kind {
    /// By its SOP class; `None`: there is nothing to read.
    pub fn of(instance: &Instance) -> Option<Kind> {
        let class = instance.facts.sop_class_uid.as_str();
        match class {
            _ if instance.facts.rows > 0 => None,
            _ if class.starts_with("1.2.840.10008.5.1.4.1.1.88.") => Some(Kind::Report),
            _ if class.starts_with("1.2.840.10008.5.1.4.1.1.104.") => Some(Kind::Document),
            _ => None,
        }
    }
}

/// The instance for reading.
pub fn rendered(app: &App, target: &Target, instance: &Arc<Instance>, kind: Kind) -> Answered<Response<Body>> {
    let accept = target.accept();
    match kind {
        Kind::Report => {
            let html = prefers_html(accept.as_deref())?;
            let attributes = app.archive.attributes(instance, &target.root(app))?;
            let (kind, text) = match html {
                true => ("text/html; charset=utf-8", report::html(&attributes)),
                false => ("text/plain; charset=utf-8", report::text(&attributes)),
            };
            let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
            let tag = format!("{short}-{}", if html { "html" } else { "text" });
            let reply = Reply::new(kind, text).tagged(tag).compressed(&target.headers);
            let mut response = reply.answer(&target.method, &target.headers);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            Ok(response)
        }
        Kind::Document => {
            let (segments, media) = bulkdata::value(app, instance, DOCUMENT)?;
            let takes = accept::parse(accept.as_deref().unwrap_or_default()).iter().any(|range| range.covers(&media));
            if !takes && !media::takes_stored(accept.as_deref()) {
                return Err(Problem::not_acceptable(format!("no image in it: this document is {media}")));
            }
            let short = instance.object_id.get(..32).unwrap_or(&instance.object_id);
            let representation = Representation {
                content_type: bulkdata::harmless(media),
                etag: format!("\"{short}-doc\""),
                modified: Some(instance.stored),
                segments,
            };
            let mut response = representation.answer(&target.method, &target.headers).map_err(Problem::internal)?;
            bulkdata::as_attachment(&mut response);
            Ok(response)
        }
    }
}

fn prefers_html(accept: Option<&str>) -> Answered<bool> {
    let offer = |range: &accept::MediaRange| match () {
        () if range.covers("text/html") => Some(true),
        () if range.covers("text/plain") => Some(false),
        () => None,
    };
    let found = accept::parse(accept.unwrap_or_default()).iter().find_map(offer);
    found
        .or_else(|| media::takes_stored(accept).then_some(true))
        .ok_or_else(|| Problem::not_acceptable("no image in it: a report is rendered as text/html or text/plain"))
}
