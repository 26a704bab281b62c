//! What the server can do (PS3.18 8.9): OPTIONS of every resource, GET of the root.

use super::{target::Target, wado};
use crate::accept;
use crate::api;
use crate::error::{Answered, Problem};
use crate::media;
use crate::reply::Reply;
use crate::state::App;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderValue, Response, header};
use std::sync::Arc;

const WADL: &str = "application/vnd.sun.wadl+xml";

/// GET of the root: WADO-URI where its parameters are there, else the capabilities.
pub async fn root(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if target.parameters.get("requestType").is_some() {
        return wado::retrieve(State(app), target).await;
    }
    describe(&app, &target)
}

/// GET of the capabilities.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    describe(&app, &target)
}

/// OPTIONS: the same, with what may be asked of the path.
pub async fn options(State(app): State<Arc<App>>, path: MatchedPath, target: Target) -> Answered<Response<Body>> {
    let mut response = describe(&app, &target)?;
    let allow = HeaderValue::try_from(api::allowed(path.as_str(), app.config.store)).map_err(Problem::internal)?;
    response.headers_mut().insert(header::ALLOW, allow);
    Ok(response)
}

/// WADL unless JSON is liked better, which is the OpenAPI description.
fn describe(app: &App, target: &Target) -> Answered<Response<Body>> {
    let accept = target.accept();
    let as_json = |range: &accept::MediaRange| match range.essence.as_str() {
        "application/json" | "application/dicom+json" => Some(true),
        _ if range.covers(WADL) || range.covers("application/xml") => Some(false),
        _ => None,
    };
    let ranges = accept::parse(accept.as_deref().unwrap_or_default());
    let reply = match ranges.iter().find_map(as_json) {
        Some(true) => {
            Reply::new("application/json", serde_json::to_vec(&api::description()).map_err(Problem::internal)?)
        }
        None if !media::takes_stored(accept.as_deref()) => {
            return Err(Problem::not_acceptable(format!("given as {WADL} or application/json")));
        }
        _ => Reply::new(WADL, api::capabilities(&target.root(app))),
    };
    Ok(reply.compressed(&target.headers).answer(&target.method, &target.headers))
}
