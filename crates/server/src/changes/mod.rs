//! The feed of changes: `/changes` page by page, `/events` as server-sent events (HTML Living Standard 9.2) that go on while one listens.
//!
//! ```text
//! page    a page of changes, of studies that the asker may see
//! follow  one thread looks whether there is something new, for all who listen
//! stream  what is new on its way to one listener, read when it has room for it
//! ```
//!
//! It tells UIDs and no name of a patient. Nobody's changes are held for them: who is slow, or was away, reads on from the number that it
//! had last.

mod follow;
mod page;
mod stream;

pub use follow::Followers;

use crate::access::For;
use crate::error::{Answered, Problem};
use crate::query::Parameters;
use crate::reply::Reply;
use crate::state::App;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;

/// Changes of a page where nobody says how many, and at most.
const PAGE: usize = 100;
const LARGEST: usize = 1000;
/// The last event that a listener heard before it came again.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `/changes` and `/events`.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/changes", get(list)).route("/events", get(listen))
}

/// The changes above a number. A page of none tells the number of the last: who begins with that is told what is new.
async fn list(
    State(app): State<Arc<App>>,
    asker: For,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let parameters = Parameters::parse(query.as_deref());
    let after = after(&parameters)?.unwrap_or(0);
    let most = parameters
        .get("limit")
        .map_or(Ok(PAGE), |text| text.parse().map_err(|_| Problem::bad_request("limit is a number from 0 on")))?;
    app.read(move |app| {
        let body = match most {
            0 => json!({"changes": [], "next": app.archive.last_change()?, "more": false}),
            most => {
                let page = page::of(app, &asker.0, after, most.min(LARGEST))?;
                let changes: Vec<_> = page.changes.iter().map(page::Told::json).collect();
                json!({"changes": changes, "next": page.next, "more": page.more})
            }
        };
        let mut response =
            Reply::new("application/json", body.to_string()).compressed(&headers).answer(&method, &headers);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    })
    .await
}

/// The changes above the last that was heard, or from now on.
async fn listen(
    State(app): State<Arc<App>>,
    asker: For,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let heard = headers.get(LAST_EVENT_ID).map(|value| number("Last-Event-ID", value.to_str().unwrap_or_default()));
    let asked = after(&Parameters::parse(query.as_deref()))?;
    let from = match (heard.transpose()?, asked) {
        (Some(heard), _) => heard,
        (None, Some(asked)) => asked,
        (None, None) => app.read(|app| Ok(app.archive.last_change()?)).await?,
    };
    let seat = app.followers.seat(&app.archive)?;
    Ok(stream::answer(app, asker.0, from, seat))
}

/// The number that is gone on from: `after`, or `since`.
fn after(parameters: &Parameters) -> Answered<Option<i64>> {
    let asked = ["after", "since"].into_iter().find_map(|name| Some((name, parameters.get(name)?)));
    asked.map(|(name, text)| number(name, text)).transpose()
}

fn number(name: &str, text: &str) -> Answered<i64> {
    let number = text.trim().parse().ok().filter(|number| *number >= 0);
    number.ok_or_else(|| Problem::bad_request(format!("{name} is the number of a change, or 0")))
}
