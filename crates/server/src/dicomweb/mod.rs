//! DICOMweb (PS3.18): searches, metadata, instances, frames, bulk data, rendered images, storing.

mod bulkdata;
mod first;
mod frames;
mod instances;
mod levels;
mod metadata;
mod qido;
mod rendered;
pub mod store;
mod target;

use crate::state::App;
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// The DICOMweb root below a URL.
pub fn root(base: &str) -> String {
    format!("{}/dicom-web", base.trim_end_matches('/'))
}

/// The resources below `/dicom-web`.
pub fn routes() -> Router<Arc<App>> {
    let study = "/studies/{study}";
    let series = "/studies/{study}/series/{series}";
    let instance = "/studies/{study}/series/{series}/instances/{instance}";
    let frames = "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}";
    let below = |base: &str, name: &str| format!("{base}/{name}");
    Router::new()
        .route("/studies", get(qido::search).post(store::store).options(store::options))
        .route("/series", get(qido::search))
        .route("/instances", get(qido::search))
        .route(&below(study, "series"), get(qido::search))
        .route(&below(study, "instances"), get(qido::search))
        .route(&below(series, "instances"), get(qido::search))
        .route(study, get(instances::retrieve).post(store::store).options(store::options))
        .route(series, get(instances::retrieve))
        .route(instance, get(instances::retrieve))
        .route(&below(study, "metadata"), get(metadata::retrieve))
        .route(&below(series, "metadata"), get(metadata::retrieve))
        .route(&below(instance, "metadata"), get(metadata::retrieve))
        .route(&below(study, "first"), get(first::retrieve))
        .route(&below(series, "levels"), get(levels::retrieve))
        .route(&below(instance, "levels"), get(levels::retrieve))
        .route(&below(instance, "bulkdata/{*path}"), get(bulkdata::retrieve))
        .route(&below(instance, "frames"), get(frames::all))
        .route(frames, get(frames::listed))
        .route(&below(instance, "rendered"), get(rendered::rendered))
        .route(&below(frames, "rendered"), get(rendered::rendered))
        .route(&below(study, "thumbnail"), get(rendered::thumbnail))
        .route(&below(series, "thumbnail"), get(rendered::thumbnail))
        .route(&below(instance, "thumbnail"), get(rendered::thumbnail))
        .route(&below(frames, "thumbnail"), get(rendered::thumbnail))
}
