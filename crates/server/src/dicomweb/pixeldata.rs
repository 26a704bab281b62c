//! Pixel data (PS3.18 10.4.1.1.6): the frames of an instance, a series or a study, one part each.

use super::target::Target;
use super::{frame_blocks, frames};
use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::state::App;
use crate::stream::Parts;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use std::ops::Range;
use std::sync::Arc;

/// All frames of what the path names, in the form that Accept asks for.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    let (target, instances) = app.read(move |app| target.find_instances(app).map(|found| (target, found))).await?;
    let blocks_of =
        |instance: Arc<Instance>| frame_blocks::blocks(&instance).map(move |block| (instance.clone(), block));
    let accept = target.accept();
    let (mut holes, mut of, mut given) = (Holes::of_parts(), 0_usize, Vec::new());
    for instance in instances.into_iter().filter(|instance| instance.facts.rows > 0) {
        let (absent, told) = frame_blocks::absent(&instance);
        of = of.saturating_add(told);
        match frames::can_be(&app, &instance, accept.as_deref()) {
            Ok(()) => {
                holes.add_many(absent, Problem::not_found("frame: the object ends before it"));
                given.push(instance);
            }
            Err(problem) => holes.add_many(told, problem),
        }
    }
    let blocks: Vec<(Arc<Instance>, Range<u32>)> = given.into_iter().flat_map(blocks_of).collect();
    if blocks.is_empty() {
        return Err(holes.first.unwrap_or_else(|| Problem::not_found("pixel data: there is none in it")));
    }
    let name = format!("pixeldata {} {accept:?}", blocks[0].0.object_id);
    let look_up = |_: &App, (instance, block): &(Arc<Instance>, Range<u32>)| {
        Ok(frame_blocks::present(instance, block.clone()).map(|n| (instance.clone(), n)).collect())
    };
    let make = move |app: &App, (instance, n): &(Arc<Instance>, u32)| {
        let (kind, bytes) = frames::part(app, instance, *n, accept.as_deref())?;
        let Instance { study, series, sop, .. } = &**instance;
        let place = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop}/frames/{}", n + 1);
        Ok((format!("{kind}\r\nContent-Location: {place}"), bytes))
    };
    Parts::nested(app, blocks, look_up, make).lacking(holes, of).multipart(&name, &target.method).await
}
