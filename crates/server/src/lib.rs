//! Firstlight over HTTP: DICOMweb, the viewer, the start page, health and metrics.
//!
//! The order of the work, and the map of the crate:
//!
//! ```text
//! serve     the listener, HTTP/1.1 and HTTP/2, tls, shutdown
//! connections  who is connected, how long for, and who goes when room is short
//! gate      every request: its id (request_id), Host and Origin (guard), limits, counters (metrics), safe headers
//! access    who may do what: one decision before every handler
//! access_log  a line for each request
//! known     frames that were asked for before: answered at once, past the index
//! dicomweb  searches, metadata, instances, frames, levels, bulk data, rendered
//! viewer    static files; pages: our own; ops: health, metrics, openapi; status
//! changes   what was stored, converted, deleted, restored and corrected, in order
//! session   events of a consultation
//! worklist  what modalities have to do, and say that they do
//! ```
//!
//! Frames are ranges of stored objects: `media` negotiates, `multipart` frames them, `representation` cuts and
//! reads them. `render` is the pixel pipeline. What blocks or computes never runs on the threads of the network,
//! and `searches` have threads of their own.

mod accept;
mod access;
mod access_log;
mod api;
mod buffers;
mod cache;
mod changes;
mod coding;
mod config;
mod connections;
mod dicomweb;
mod error;
mod event_stream;
mod forget;
mod gate;
mod guard;
mod holes;
mod known;
mod media;
mod metrics;
mod multipart;
mod native_xml;
mod ops;
mod pages;
mod process;
mod quality;
mod query;
mod range;
mod render;
mod reply;
mod representation;
mod request_id;
mod runs;
mod searches;
mod serve;
mod session;
mod state;
mod status;
mod stream;
mod tls;
mod viewer;
mod worklist;

pub use access::{Line, Network};
pub use access_log::AccessLog;
pub use config::Config;
pub use error::Error;
pub use serve::{Server, serve, serve_on};
pub use tls::{Certificate, Tls, TlsError};

use axum::Router;

/// Everything that is served, as a router.
pub fn router(config: Config) -> Router {
    routes(state::App::new(config))
}

fn routes(app: std::sync::Arc<state::App>) -> Router {
    let routes = resources(app.clone());
    let gate = gate::Gate { app, routes: routes.clone() };
    access::with_links(routes.layer(axum::middleware::from_fn_with_state(gate, gate::pass)))
}

/// The paths of all resources, as the router has them, parameters in braces.
pub fn paths(config: Config) -> Vec<String> {
    let written = format!("{:?}", resources(state::App::new(config)));
    let quoted = written.split('"').skip(1).step_by(2);
    let paths: std::collections::BTreeSet<String> =
        quoted.filter(|text| text.starts_with('/') && !text.contains("__private")).map(str::to_owned).collect();
    paths.into_iter().collect()
}

/// Every resource, with nobody at the gate. What is added here is behind the decision of `access` by itself.
fn resources(app: std::sync::Arc<state::App>) -> Router {
    Router::new()
        .nest("/dicom-web", dicomweb::routes())
        .route("/dicom-web/", dicomweb::root_resource())
        .route("/wado", dicomweb::wado_uri())
        .merge(viewer::routes())
        .merge(pages::routes())
        .merge(ops::routes())
        .merge(status::routes())
        .merge(session::routes())
        .merge(worklist::routes())
        .merge(changes::routes())
        .merge(access::routes())
        .fallback(viewer::at_root)
        .with_state(app)
}
