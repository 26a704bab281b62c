//! Requests of strangers, answered by the whole server without a network. The archive has one image, and takes in what is stored.

use archive::{Archive, Options};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use server::Config;
use std::sync::LazyLock;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const BOUNDARY: &str = "boundary";
const FRAME: &str = "/dicom-web/studies/1.2.3/series/1.2.3.5/instances/1.2.3.4/frames/1";
/// Bytes of an answer that are looked at.
const ANSWER: usize = 64 << 20;

static SERVER: LazyLock<Asked> = LazyLock::new(Asked::new);

/// The server, and where its archive is until the run ends.
struct Asked {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

impl Asked {
    fn new() -> Asked {
        let folder = TempDir::new().expect("a folder for the archive");
        let archive = Archive::open(folder.path(), Options::default()).expect("an archive");
        let runtime = Runtime::new().expect("a runtime");
        let asked = Asked { router: runtime.block_on(async { server::router(Config::new(archive)) }), runtime, _folder: folder };
        let stored = asked.store("application/dicom", &testkit::image());
        assert!(stored == StatusCode::OK, "the image is stored: {stored}");
        asked
    }

    /// Sends a request; the answer is never the fault of the server, and its body is as long as it says.
    fn answer(&self, request: Request<Body>) -> StatusCode {
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let (head, body) = answer.into_parts();
            assert!(head.status != StatusCode::INTERNAL_SERVER_ERROR, "500");
            let told = head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
            if let Ok(bytes) = body.collect().await.map(|body| body.to_bytes()) {
                assert!(bytes.len() <= ANSWER && told.is_none_or(|told| told == bytes.len()), "{} bytes, told {told:?}", bytes.len());
            }
            head.status
        })
    }

    /// Stores one part of this type.
    fn store(&self, media: &str, part: &[u8]) -> StatusCode {
        let head = format!("--{BOUNDARY}\r\nContent-Type: {media}\r\n\r\n");
        let body = [head.as_bytes(), part, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
        self.answer(storing(media, body))
    }
}

fn storing(media: &str, body: Vec<u8>) -> Request<Body> {
    let content = format!("multipart/related; type=\"{media}\"; boundary={BOUNDARY}");
    let request = Request::builder().method(Method::POST).uri("/dicom-web/studies").header(header::HOST, "localhost");
    request.header(header::CONTENT_TYPE, content).body(body.into()).expect("a request")
}

fn asking(path: &str, name: header::HeaderName, value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let request = Request::builder().uri(path).header(header::HOST, "localhost").header(name, value);
    SERVER.answer(request.body(Body::empty()).expect("a request"));
}

/// What a client says it takes, of a frame, a rendered image, metadata.
pub fn accept(data: &[u8]) {
    let Some((which, value)) = data.split_first() else { return };
    let instance = FRAME.trim_end_matches("/frames/1");
    let path = [FRAME.to_owned(), format!("{instance}/rendered"), format!("{instance}/metadata"), instance.to_owned(), "/dicom-web/studies".into()];
    asking(&path[usize::from(*which) % path.len()], header::ACCEPT, value);
}

/// Byte ranges of a frame, and conditions on them.
pub fn range(data: &[u8]) {
    let Some((which, value)) = data.split_first() else { return };
    let names = [header::RANGE, header::RANGE, header::IF_NONE_MATCH, header::IF_MATCH, header::IF_MODIFIED_SINCE];
    asking(FRAME, names[usize::from(*which) % names.len()].clone(), value);
}

/// The query of a search, or of a rendered image.
pub fn query(data: &[u8]) {
    let Some((which, query)) = data.split_first() else { return };
    let instance = FRAME.trim_end_matches("/frames/1");
    let path = ["/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances", &format!("{instance}/rendered"), instance, "/dicom-web/studies/1.2.3/series"];
    let query: String = query.iter().map(|byte| if byte.is_ascii_graphic() && *byte != b'#' { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect();
    let Ok(request) = Request::builder().uri(format!("{}?{query}", path[usize::from(*which) % path.len()])).header(header::HOST, "localhost").body(Body::empty()) else { return };
    SERVER.answer(request);
}

/// A body of STOW-RS.
pub fn multipart(data: &[u8]) {
    SERVER.answer(storing("application/dicom", data.to_vec()));
}

/// Metadata in DICOM JSON that are to become an object.
pub fn dicom_json(data: &[u8]) {
    SERVER.store("application/dicom+json", data);
}

/// As a NativeDicomModel.
pub fn dicom_xml(data: &[u8]) {
    SERVER.store("application/dicom+xml", data);
}
