//! Deleting a study, a series or an instance (DELETE of its path). PS3.18 names no such service; this is what clients and servers agree on.
//!
//! What is deleted is behind no address when the answer is given, and can be brought back on the server for a time.

use super::target::Target;
use crate::error::{Answered, Problem};
use crate::state::App;
use archive::{InstanceKey, Removed, Scope};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Deletes what the path names: 204, or 404 where there is no such thing, or 409 where its study is held.
pub async fn delete(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    if !app.config.store {
        return Err(Problem::read_only());
    }
    let what = if target.instance.is_some() { "instance" } else { target.series().map_or("study", |_| "series") };
    match app.read(move |app| removed(app, &target)).await? {
        Removed::Done(removal) => {
            app.metrics.deleted.fetch_add(removal.instances, Relaxed);
            Ok(done())
        }
        Removed::Unknown => Err(Problem::not_found(what)),
        Removed::Held(_) => Err(Problem::conflict("the study is held: nothing of it may be deleted")),
    }
}

fn removed(app: &App, target: &Target) -> Answered<Removed> {
    let (study, grace) = (target.study()?, app.config.delete_grace);
    Ok(match (target.series(), &target.instance) {
        (None, _) => app.archive.delete(Scope::Study(study), grace)?,
        (Some(series), None) => app.archive.delete(Scope::Series(study, series), grace)?,
        (Some(series), Some(sop)) => {
            let key = InstanceKey { study: study.into(), series: series.into(), sop: sop.as_str().into() };
            app.archive.delete(Scope::Instance(&key), grace)?
        }
    })
}

fn done() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
