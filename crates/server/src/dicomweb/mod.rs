//! DICOMweb (PS3.18): searches, metadata, instances, frames, bulk data, rendered images, storing, deleting.

mod bulkdata;
mod capabilities;
mod coded;
mod documents;
mod first;
mod frame_blocks;
mod frames;
mod instances;
mod levels;
mod metadata;
mod model;
mod pixeldata;
mod qido;
mod reduced;
mod removal;
mod rendered;
pub mod store;
mod stored_fields;
mod target;
mod transcoded;
mod wado;
mod zipped;

use crate::state::App;
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, get};
use std::sync::Arc;

/// The DICOMweb root below a URL.
pub fn root(base: &str) -> String {
    format!("{}/dicom-web", base.trim_end_matches('/'))
}

/// GET and HEAD by a handler, and OPTIONS (PS3.18 8.9).
fn read<H, T>(handler: H) -> MethodRouter<Arc<App>>
where
    H: Handler<T, Arc<App>>,
    T: 'static,
{
    get(handler).options(capabilities::options)
}

/// The root itself, with a slash at its end.
pub fn root_resource() -> MethodRouter<Arc<App>> {
    get(capabilities::root).options(capabilities::options)
}

/// WADO-URI, which many clients ask beside the root and not below it.
pub fn wado_uri() -> MethodRouter<Arc<App>> {
    get(wado::retrieve)
}

/// The resources below `/dicom-web`.
pub fn routes() -> Router<Arc<App>> {
    let study = "/studies/{study}";
    let series = "/studies/{study}/series/{series}";
    let instance = "/studies/{study}/series/{series}/instances/{instance}";
    let frames = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}";
    let below = |base: &str, name: &str| format!("{base}/{name}");
    Router::new()
        .route("/", root_resource())
        .route("/capabilities", read(capabilities::retrieve))
        .route("/studies", read(qido::search).post(store::store))
        .route("/wado", read(wado::retrieve))
        .route("/series", read(qido::search))
        .route("/instances", read(qido::search))
        .route(&below(study, "series"), read(qido::search))
        .route(&below(study, "instances"), read(qido::search))
        .route(&below(series, "instances"), read(qido::search))
        .route(study, read(instances::retrieve).post(store::store).delete(removal::delete))
        .route(series, read(instances::retrieve).delete(removal::delete))
        .route(instance, read(instances::retrieve).delete(removal::delete))
        .route(&below(study, "metadata"), read(metadata::retrieve))
        .route(&below(series, "metadata"), read(metadata::retrieve))
        .route(&below(instance, "metadata"), read(metadata::retrieve))
        .route(&below(study, "first"), read(first::retrieve))
        .route(&below(series, "levels"), read(levels::retrieve))
        .route(&below(instance, "levels"), read(levels::retrieve))
        .route(&below(study, "pixeldata"), read(pixeldata::retrieve))
        .route(&below(series, "pixeldata"), read(pixeldata::retrieve))
        .route(&below(instance, "pixeldata"), read(pixeldata::retrieve))
        .route(&below(study, "bulkdata"), read(bulkdata::all))
        .route(&below(series, "bulkdata"), read(bulkdata::all))
        .route(&below(instance, "bulkdata"), read(bulkdata::all))
        .route(&below(instance, "bulkdata/{*path}"), read(bulkdata::retrieve))
        .route(&below(instance, "frames"), read(frames::all))
        .route(frames, read(frames::listed))
        .route(&below(study, "rendered"), read(rendered::rendered))
        .route(&below(series, "rendered"), read(rendered::rendered))
        .route(&below(instance, "rendered"), read(rendered::rendered))
        .route(&below(frames, "rendered"), read(rendered::rendered))
        .route(&below(study, "thumbnail"), read(rendered::thumbnail))
        .route(&below(series, "thumbnail"), read(rendered::thumbnail))
        .route(&below(instance, "thumbnail"), read(rendered::thumbnail))
        .route(&below(frames, "thumbnail"), read(rendered::thumbnail))
}
