//! Storing instances (STOW-RS, PS3.18 10.5): what comes is streamed to the storage part by part, and acknowledged when it is durable.

mod answer;
mod body;
mod forms;
mod intake;
mod model;
mod outcome;
mod turns;

pub use turns::Turns;

use super::target::Target;
use crate::accept::{self, MediaRange};
use crate::access::{self, For};
use crate::connections::Client;
use crate::error::{Answered, Problem};
use crate::media::{DICOM, DICOM_JSON, DICOM_XML};
use crate::multipart::Trouble;
use crate::state::App;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, Response, header};
use forms::{Content, Framing, Model};
use intake::Taken;
use outcome::Outcome;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use turns::Turn;

/// Who waits longer for a turn is told to come again.
const TURN: Duration = Duration::from_secs(20);

/// Does this request store? Then its body has no length of ours, and its time is that of its bytes.
pub fn is_store(method: &Method, route: Option<&str>) -> bool {
    method == Method::POST && matches!(route, Some("/dicom-web/studies" | "/dicom-web/studies/{study}"))
}

/// Stores what the body holds, and tells of each instance what became of it.
pub async fn store(State(app): State<Arc<App>>, target: Target, request: Request<Body>) -> Answered<Response<Body>> {
    let client = request.extensions().get::<Client>().map(|Client(address)| *address);
    let from = access::client(request.extensions());
    let begun = match prepare(&app, &target) {
        Ok(prepared) => turn(&app, client).await.map(|turn| (prepared, turn)),
        Err(problem) => Err(problem),
    };
    let ((model, framing), turn) = match begun {
        Ok(begun) => begun,
        Err(problem) => {
            // Who waits for leave to send has not sent. Others send before they listen.
            if !target.headers.contains_key(header::EXPECT) {
                body::pass_over(request.into_body()).await;
            }
            return Err(problem);
        }
    };
    let (feeder, reader) = body::channel();
    let (study, asker) = (target.study.as_ref().map(|uid| uid.as_str().to_owned()), target.asker.clone());
    // The turn is that of the thread: it ends with it, also where the client is gone before.
    let storer = asker.clone();
    let taken = app.read(move |app| {
        let _turn = turn;
        Ok(intake::take_in(app, &storer, reader, framing, study.as_deref()))
    });
    let (fed, taken) = tokio::join!(feeder.feed(request.into_body()), taken);
    let taken = taken?;
    match taken.trouble {
        _ if fed.is_err_and(|slow| slow) && taken.outcomes.is_empty() => return Err(Problem::too_slow()),
        Some(trouble) if taken.outcomes.is_empty() => return Err(malformed(&trouble)),
        None if taken.outcomes.is_empty() => return Err(Problem::bad_request("the body has no instance")),
        _ => {}
    }
    count(&app, &taken.outcomes);
    let taken = app.read(move |app| Ok(record(app, &asker, from, taken))).await?;
    Ok(answer::response(&taken, &target.root(&app), target.study.as_ref().map(dicom::Uid::as_str), model))
}

/// Waits for a turn, for a while.
async fn turn(app: &App, client: Option<IpAddr>) -> Answered<Turn> {
    let turn = tokio::time::timeout(TURN, app.stores.take(client)).await;
    turn.ok().flatten().ok_or_else(Problem::busy)
}

/// What can be told before the body is read: that it is not wanted, or how it is read and answered.
fn prepare(app: &App, target: &Target) -> Answered<(Model, Framing)> {
    if !app.config.store {
        return Err(Problem::read_only());
    }
    let model = Model::of(target.accept().as_deref())?;
    let framing = framing(&target.headers)?;
    check_room(app, &target.headers)?;
    Ok((model, framing))
}

/// What was stored goes into the record of access.
fn record(app: &App, asker: &For, from: Option<IpAddr>, taken: Taken) -> Taken {
    let stored = taken.outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Stored { named, .. } => Some(named.key.study.as_str()),
        _ => None,
    });
    access::record_stored(app, asker, from, stored.collect());
    taken
}

fn count(app: &App, outcomes: &[Outcome]) {
    let stored = &app.metrics.stored;
    for outcome in outcomes {
        let counter = match outcome {
            Outcome::Stored { again: false, .. } => &stored.new,
            Outcome::Stored { again: true, .. } => &stored.again,
            _ => &stored.refused,
        };
        counter.fetch_add(1, Relaxed);
    }
}

fn malformed(trouble: &Trouble) -> Problem {
    Problem::bad_request(format!("nothing was stored: {trouble}"))
}

/// What the Content-Type says of the body (PS3.18 10.5.1, 8.6.1.2).
fn framing(headers: &HeaderMap) -> Answered<Framing> {
    let unknown = || {
        Problem::unsupported_media_type(
            "instances are stored as multipart/related; type=\"application/dicom\", application/dicom+json or application/dicom+xml, \
             or one as application/dicom",
        )
    };
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let told = accept::media_type(told).ok_or_else(unknown)?;
    match told.essence.as_str() {
        DICOM => return Ok(Framing::Single),
        "multipart/related" => {}
        _ => return Err(unknown()),
    }
    let content = match told.parameter("type").map(str::to_ascii_lowercase).as_deref() {
        None | Some(DICOM) => Content::Dicom,
        Some(DICOM_JSON) => Content::Model(Model::Json),
        Some(DICOM_XML) => Content::Model(Model::Xml),
        _ => return Err(unknown()),
    };
    Ok(Framing::Parts { boundary: boundary(&told)?, content })
}

fn boundary(told: &MediaRange) -> Answered<String> {
    told.parameter("boundary")
        .map(str::to_owned)
        .ok_or_else(|| Problem::bad_request("the Content-Type names no boundary"))
}

/// A body that is announced and does not fit is not begun with.
fn check_room(app: &App, headers: &HeaderMap) -> Answered<()> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if length > app.archive.room()? => Err(Problem::too_large()),
        _ => Ok(()),
    }
}
