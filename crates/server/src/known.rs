//! Frames and pictures that were asked for before: where their bytes lie, so that they are handed out without a look at the index, without another
//! thread and without a copy.
//!
//! What is known holds as long as nothing is handed out otherwise than before: a conversion, a removal or levels that were found make the
//! archive count, and then everybody looks it up anew. It names an object and keeps no file open; those used last are open in a table of
//! their own. [`Table::find`] is the one door to it.

use crate::access_log::Named;
use crate::representation::Representation;
use crate::request_id::{self, RequestId};
use crate::state::App;
use archive::ObjectReader;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, header};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use rustix::fs::{Stat, fstat};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tracing::Level;

/// Bytes that all of it may take, about.
const MOST: u64 = 32 << 20;
/// Bytes that one of it may take.
const LARGEST: usize = 256 << 10;
/// What one costs besides its texts, about.
const ONE: usize = 512;
/// Longer addresses, and answers of more pieces, are looked up each time.
const LONGEST: usize = 1024;
const MOST_PIECES: usize = 64;
/// Files that are kept open.
const OPEN: usize = 256;
/// Whether a file is still the one of its name is asked of the archive so often.
const LOOK: Duration = Duration::from_secs(10);
/// What all their addresses begin with.
pub const ROOT: &str = "/dicom-web";

/// What a request names and accepts.
#[derive(Debug, Hash)]
pub struct Asked<'a> {
    /// Path and query below the root.
    target: &'a str,
    accept: &'a str,
}

/// The same, kept.
#[derive(Debug, Hash, PartialEq, Eq)]
struct Key {
    target: Box<str>,
    accept: Box<str>,
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self.target == *key.target && *self.accept == *key.accept
    }
}

impl<'a> Asked<'a> {
    /// Of a request for what is at a path (and query) below the root; `None` where more than these decide what is answered.
    pub fn of(method: &Method, headers: &'a HeaderMap, target: &'a str) -> Option<Asked<'a>> {
        let reads = method == Method::GET || method == Method::HEAD;
        let has_body = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
        if !reads || has_body || target.len() > LONGEST {
            return None;
        }
        let mut accept = headers.get_all(header::ACCEPT).iter();
        let first = accept.next().map_or(Some(""), |value| value.to_str().ok())?;
        (accept.next().is_none() && first.len() <= LONGEST).then_some(Asked { target, accept: first })
    }
}

/// What is known of an answer.
struct Known {
    /// [`archive::Archive::handed_out`] when it was looked up.
    as_of: u64,
    /// Name of the object that has bytes of it, where they are not in memory.
    object: Option<Box<str>>,
    representation: Representation,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Key, Arc<Known>> for Weight {
    fn weight(&self, key: &Key, known: &Arc<Known>) -> u64 {
        (ONE + key.target.len() + key.accept.len() + known.representation.weight()) as u64
    }
}

/// A file that is kept open.
#[derive(Clone)]
struct Open {
    reader: ObjectReader,
    /// As it was.
    stat: Stat,
    since: Instant,
}

impl Open {
    /// Where the object is a local file.
    fn of(reader: &ObjectReader) -> Option<Open> {
        let stat = fstat(reader.local()?).ok()?;
        Some(Open { reader: reader.clone(), stat, since: Instant::now() })
    }

    /// Has its name not been given to another file, or to none?
    fn is_current(&self) -> bool {
        let now = self.reader.local().and_then(|file| fstat(file).ok());
        // It loses a name with that.
        let same = now.is_some_and(|now| now.st_nlink == self.stat.st_nlink && now.st_size == self.stat.st_size);
        same && self.since.elapsed() < LOOK
    }
}

/// All that is known.
pub struct Table {
    known: Cache<Key, Arc<Known>, Weight>,
    open: Cache<Box<str>, Open>,
}

impl Default for Table {
    fn default() -> Table {
        Table { known: Cache::with_weighter(MOST as usize / (2 * ONE), MOST, Weight), open: Cache::new(OPEN) }
    }
}

impl Table {
    /// Keeps where the bytes of an answer are, all of them in memory or in the one object. `as_of`: what the archive counted before they were
    /// looked up.
    pub fn keep(
        &self,
        asked: &Asked<'_>,
        as_of: u64,
        object: Option<(&str, &ObjectReader)>,
        representation: &Representation,
    ) {
        if representation.segments.len() > MOST_PIECES || representation.weight() > LARGEST {
            return;
        }
        if let Some((name, reader)) = object {
            let Some(open) = Open::of(reader) else { return };
            self.open.insert(name.into(), open);
        }
        let object = object.map(|(name, _)| name.into());
        let known = Known { as_of, object, representation: representation.known() };
        self.known.insert(Key { target: asked.target.into(), accept: asked.accept.into() }, Arc::new(known));
    }

    /// Forgets all, and closes all files.
    pub fn clear(&self) {
        self.known.clear();
        self.open.clear();
    }

    /// What is known, for somebody who may have it: the one door. What the archive has changed since, what was deleted and what somebody has
    /// to sign in for is not found here; whoever finds nothing asks as everybody does.
    fn find(&self, app: &App, asked: &Asked<'_>) -> Option<Representation> {
        let known = self.known.get(asked)?;
        if app.archive.handed_out().ok().flatten() != Some(known.as_of) {
            return None;
        }
        let Some(object) = known.object.as_deref() else { return Some(known.representation.clone()) };
        let open = self.open.get(object)?;
        if !open.is_current() {
            self.open.remove(object);
            return None;
        }
        Some(known.representation.over(&open.reader))
    }
}

/// The answer to somebody who may have it, where all of it is known and in memory; `None`: it has to be looked up.
pub fn again(app: &App, method: &Method, headers: &HeaderMap, asked: &Asked<'_>) -> Option<Response<Body>> {
    let representation = app.known.find(app, asked)?;
    let response = representation.answer_from_memory(method, headers).ok()?;
    // What is refused is told why elsewhere.
    (!response.status().is_client_error()).then(|| {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        response
    })
}

/// The answer to a whole request, before the routes and all that is in front of them.
pub fn answer<B>(app: &App, request: &Request<B>) -> Option<Response<Body>> {
    let began = Instant::now();
    let target = request.uri().path_and_query()?.as_str().strip_prefix(ROOT)?;
    let asked = Asked::of(request.method(), request.headers(), target)?;
    // Each line of the log has its request: that is made elsewhere.
    if tracing::enabled!(Level::DEBUG) {
        return None;
    }
    if !is_open(app) {
        return None;
    }
    let from = app.guard.check(request).ok()?;
    let mut response = again(app, request.method(), request.headers(), &asked)?;
    app.guard.finish(&from, &mut response);
    let id = RequestId::next();
    response.headers_mut().insert(request_id::HEADER, id.value());
    if app.config.access_log.is_some() {
        // Whoever kept it knew all of its words.
        let path = request.uri().path().to_owned();
        response.extensions_mut().insert(Named { id, path });
    }
    let length = http_body::Body::size_hint(response.body()).exact().unwrap_or(0);
    app.metrics.count(label(request.uri().path()), response.status().as_u16(), began.elapsed(), length);
    Some(response)
}

/// Is nobody asked who they are? Else that is decided before anything is handed out, by `access` at the gate; and so are the words of a
/// proxy, and what is to be recorded.
fn is_open(app: &App) -> bool {
    app.door.recall_open() == Some(true) && app.config.behind_proxy.is_empty() && app.config.record.is_none()
}

/// The route that metrics count it for.
fn label(path: &str) -> &'static str {
    match path.rsplit('/').next() {
        Some("rendered") => "rendered",
        Some("thumbnail") => "thumbnail",
        _ => "frames",
    }
}
