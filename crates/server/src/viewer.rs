//! The viewers as static files: OHIF, a single-page application below `/viewer`, our own files before its own; and the light page at `/light/`.
//!
//! The viewer's bundle loads its later pieces from the root of the site, so what is asked for at the root and is a file
//! of the viewer is given there too.

use crate::access::{self, Opening};
use crate::error::{Answered, Problem};
use crate::pages;
use crate::query::Parameters;
use crate::reply::{self, Reply};
use crate::state::App;
use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Response, Uri, header};
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use dicom::Uid;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Larger files are not read.
const LARGEST: u64 = 256 << 20;

/// `/viewer` and everything below it.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/viewer", get(below_viewer))
        .route("/viewer/", get(below_viewer))
        .route("/viewer/{*path}", get(below_viewer))
        .route("/light", get(async || Redirect::permanent("/light/")))
        .route("/light/", get(light))
}

/// The light page; its other files are found at the root of the site.
async fn light(
    State(app): State<Arc<App>>,
    opening: Option<Extension<Opening>>,
    method: Method,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    app.read(move |app| {
        let found = app.config.web_dir.as_ref().map(|web| web.join("light/index.html")).filter(|path| path.is_file());
        let Some(path) = found else { return Ok(pages::no_viewer(&method, &headers)) };
        let text = std::fs::read_to_string(path).map_err(Problem::internal)?;
        let Some(Extension(opening)) = opening else {
            let mut response = page(text).compressed(&headers).answer(&method, &headers);
            pages::light_policy(&mut response);
            return Ok(response);
        };
        let text = opening.tell(&text);
        let mut response = Reply::new("text/html; charset=utf-8", text).compressed(&headers).answer(&method, &headers);
        pages::light_policy(&mut response);
        access::not_kept(&mut response);
        Ok(response)
    })
    .await
}

async fn below_viewer(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let path = uri.path().strip_prefix("/viewer").unwrap_or_default().to_owned();
    app.read(move |app| {
        let link = Link::of(&uri);
        let index = || index(app, link.as_ref(), &method, &headers);
        match names(&path) {
            None => Err(Problem::not_found("file")),
            Some(names) if is_route(&names) => index(),
            Some(names) => file(app, &names, &method, &headers)?.ok_or_else(|| Problem::not_found("file")),
        }
    })
    .await
}

/// A file of the viewer asked for at the root of the site.
pub async fn at_root(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Answered<Response<Body>> {
    let found = names(uri.path()).filter(|names| !is_route(names) && (method == Method::GET || method == Method::HEAD));
    let Some(names) = found else { return Err(Problem::not_found("resource")) };
    app.read(move |app| file(app, &names, &method, &headers)?.ok_or_else(|| Problem::not_found("resource"))).await
}

/// A page of the application and not one of its files: the last name has no extension.
fn is_route(names: &[String]) -> bool {
    names.last().is_none_or(|name| !name.contains('.'))
}

/// The names of a path, if none of them could lead out of a folder.
fn names(path: &str) -> Option<Vec<String>> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let safe = |name: &str| !name.starts_with('.') && !name.contains(['\\', ':', '\0']);
    path.split('/').filter(|name| !name.is_empty()).map(|name| safe(name).then(|| name.to_owned())).collect()
}

/// Where files come from, first the first.
fn folders(app: &App) -> Vec<PathBuf> {
    let web = app.config.web_dir.iter().flat_map(|web| [web.join("viewer"), web.clone()]);
    web.chain(app.config.viewer_dir.clone()).collect()
}

/// A link to the viewer that names one study, and whether it signs in with a token of its own.
struct Link {
    study: Uid,
    signed: bool,
}

impl Link {
    fn of(uri: &Uri) -> Option<Link> {
        let query = Parameters::parse(uri.query().filter(|_| uri.path().trim_end_matches('/') == "/viewer/viewer"));
        Some(Link { study: Uid::parse(query.get("StudyInstanceUIDs")?)?, signed: query.get("token").is_some() })
    }
}

/// What draws the study's first picture before the application is there: the head of our own page, if we have one.
fn first_light(app: &App, Link { study, signed }: &Link) -> Option<String> {
    let head = app.config.web_dir.as_ref()?.join("viewer/first-light.html");
    let head = std::fs::read_to_string(head).ok()?.replace("{study}", study.as_str());
    Some(if *signed { without_preload(head) } else { head })
}

/// A preload carries no token: what needs one is asked for by the script alone.
fn without_preload(mut head: String) -> String {
    let link = head
        .find("data-first-light")
        .and_then(|within| Some((head[..within].rfind("<link")?, within + head[within..].find('>')? + 1)));
    if let Some((start, end)) = link {
        head.replace_range(start..end, "");
    }
    head
}

/// The application's page, its references to the root of the site moved below `/viewer`.
fn index(app: &App, link: Option<&Link>, method: &Method, headers: &HeaderMap) -> Answered<Response<Body>> {
    let found = folders(app).into_iter().map(|folder| folder.join("index.html")).find(|path| path.is_file());
    let Some(path) = found.filter(|_| app.config.viewer_dir.is_some()) else {
        return Ok(pages::no_viewer(method, headers));
    };
    let text = std::fs::read_to_string(&path).map_err(Problem::internal)?;
    let mut text = move_below_viewer(&text);
    let head = link.and_then(|link| first_light(app, link));
    if let (Some(head), Some(at)) = (head, text.find("<head>")) {
        // Our page starts them when the picture is there: they would take half of the line from it.
        text = text.replace("<script defer src=", "<script type=\"later\" src=");
        text.insert_str(at + "<head>".len(), &head);
    }
    let mut response = page(text).compressed(headers).answer(method, headers);
    pages::viewer_policy(&mut response);
    Ok(response)
}

/// A page is asked for again each time, and costs no bytes when it is the same.
fn page(text: String) -> Reply {
    let tag: String = Sha256::digest(&text)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Reply::new("text/html; charset=utf-8", text).tagged(tag)
}

/// `="/x` becomes `="/viewer/x`; `="//host` and what is there already stay.
fn move_below_viewer(html: &str) -> String {
    let mut out = String::with_capacity(html.len() + 4096);
    let mut pieces = html.split("=\"/");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let stays = piece.starts_with('/') || piece.starts_with("viewer/");
        out.push_str(if stays { "=\"/" } else { "=\"/viewer/" });
        out.push_str(piece);
    }
    out
}

fn file(app: &App, names: &[String], method: &Method, headers: &HeaderMap) -> Answered<Option<Response<Body>>> {
    let Some((path, meta)) =
        folders(app).iter().find_map(|folder| regular(&folder.join(names.iter().collect::<PathBuf>())))
    else {
        return Ok(None);
    };
    let name = names.last().map_or("", String::as_str);
    let changed = meta.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let (bytes, encoding) = coded(app, &path, &meta, changed.as_nanos(), name, headers)?;
    let reply = Reply {
        content_type: media_type(name).into(),
        modified: None,
        tag: Some(format!("{:x}-{:x}", changed.as_nanos(), meta.len())),
        encoding,
        cache: if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" },
        bytes,
    };
    let mut response = reply.answer(method, headers);
    // A worker's script is asked for with another Accept than the same file by a page: it is the same file all the same.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    if name.ends_with(".html") {
        pages::viewer_policy(&mut response);
    }
    Ok(Some(response))
}

fn regular(path: &Path) -> Option<(PathBuf, std::fs::Metadata)> {
    let meta = path.metadata().ok()?;
    (meta.is_file() && meta.len() <= LARGEST).then(|| (path.to_owned(), meta))
}

/// The bytes of a file in the coding the client likes best: a sidecar (`.br`, `.gz`) that is not older, or compressed
/// once and kept.
fn coded(
    app: &App,
    path: &Path,
    meta: &std::fs::Metadata,
    changed: u128,
    name: &str,
    headers: &HeaderMap,
) -> Answered<(Bytes, Option<&'static str>)> {
    let read = |path: &Path| std::fs::read(path).map(Bytes::from).map_err(Problem::internal);
    if !is_compressible(name) {
        return Ok((read(path)?, None));
    }
    // The smaller one first: it is taken where the client likes both the same.
    let mut codings =
        [("br", "br"), ("gzip", "gz")].map(|(coding, side)| (reply::weight(headers, coding), coding, side));
    codings.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (_, coding, extension) in codings.into_iter().filter(|(weight, ..)| *weight > 0.0) {
        let sidecar = PathBuf::from(format!("{}.{extension}", path.display()));
        if regular(&sidecar).is_some_and(|(_, side)| side.modified().ok() >= meta.modified().ok()) {
            return Ok((read(&sidecar)?, Some(coding)));
        }
    }
    if meta.len() < 1024 || !reply::accepts(headers, "gzip") {
        return Ok((read(path)?, None));
    }
    let key = format!("file {} {changed} {}", path.display(), meta.len());
    if let Some(bytes) = app.made.get(&key) {
        return Ok((bytes, Some("gzip")));
    }
    let bytes = Bytes::from(reply::gzip(&read(path)?));
    app.made.put(key, bytes.clone(), bytes.len());
    Ok((bytes, Some("gzip")))
}

/// A name with a hash of its content in it (16 or more hexadecimal digits) never changes its content.
fn is_hashed(name: &str) -> bool {
    name.split(['.', '-']).any(|piece| piece.len() >= 16 && piece.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

fn is_compressible(name: &str) -> bool {
    matches!(
        extension(name),
        "html" | "js" | "mjs" | "css" | "json" | "map" | "svg" | "wasm" | "txt" | "xml" | "ico" | "ttf" | "onnx"
    )
}

fn media_type(name: &str) -> &'static str {
    match extension(name).to_ascii_lowercase().as_str() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" | "webmanifest" => "application/json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "xml" => "application/xml",
        "txt" | "md" => "text/plain; charset=utf-8",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        assert_eq!(names("/a/b.js"), Some(vec!["a".into(), "b.js".into()]));
        assert_eq!(names("/"), Some(vec![]));
        for path in [
            "/../x",
            "/a/..%2f..%2fetc/passwd",
            "/%2e%2e/x",
            "/.git/config",
            "/a\\b.js",
            "/c:/x.js",
            "/a%00.js",
            "/%ff.js",
        ] {
            assert!(names(path).is_none(), "{path}");
        }
    }

    #[test]
    fn routes_have_no_extension() {
        let is = |path: &str| is_route(&names(path).unwrap());
        assert!(is("/") && is("/viewer") && is("/segmentation/x"));
        assert!(!is("/app.bundle.css") && !is("/a/b.wasm"));
    }

    #[test]
    fn references_move_below_the_viewer() {
        let html = r#"<script>window.PUBLIC_URL="/"</script><script src="/app.js"></script><a href="//x/y"><link href="/viewer/z.css">"#;
        let moved = r#"<script>window.PUBLIC_URL="/viewer/"</script><script src="/viewer/app.js"></script><a href="//x/y"><link href="/viewer/z.css">"#;
        assert_eq!(move_below_viewer(html), moved);
        assert_eq!(move_below_viewer(moved), moved);
    }

    #[test]
    fn names_with_a_hash() {
        assert!(is_hashed("100.bundle.cb02411ce321d4e4.js") && is_hashed("0ddf166f7a343eda.wasm"));
        assert!(!is_hashed("app.bundle.css") && !is_hashed("app-config.js") && !is_hashed("index.html"));
        assert_eq!(media_type("x.wasm"), "application/wasm");
    }
}
