//! Pixel data (PS3.18 10.4.1.1.6): the frames of an instance, a series or a study, one part each.

use super::frames;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use std::sync::Arc;

/// All frames of what the path names, in the form that Accept asks for.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    let frames_of = |instance: Arc<Instance>| (0..instance.facts.frames).map(move |n| (instance.clone(), n));
    let items: Vec<(Arc<Instance>, u32)> =
        instances.into_iter().filter(|instance| instance.facts.rows > 0).flat_map(frames_of).collect();
    if items.is_empty() {
        return Err(Problem::not_found("pixel data: there is none in it"));
    }
    let accept = target.accept();
    let name = format!("pixeldata {} {accept:?}", items[0].0.object_id);
    let make = move |app: &App, (instance, n): &(Arc<Instance>, u32)| {
        let (kind, bytes) = frames::part(app, instance, *n, accept.as_deref())?;
        let Instance { study, series, sop, .. } = &**instance;
        let place = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop}/frames/{}", n + 1);
        Ok((format!("{kind}\r\nContent-Location: {place}"), bytes))
    };
    Parts::new(app, items, make).multipart(&name, &target.method).await
}
