//! Instances as a zip of DICOM files (PS3.18 8.7.3.1, Table 8.7.3-1): written while it is sent, a piece at a time, nothing compressed
//! twice.

use crate::error::{Answered, Problem};
use crate::holes::Holes;
use crate::media::ZIP;
use crate::representation::Segment;
use crate::state::App;
use archive::Instance;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, header};
use bytes::Bytes;
use futures_util::stream;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// From this size on an entry has the long form of its sizes.
const LARGE: u64 = u32::MAX as u64;
/// Bytes of a piece that is sent, about.
const PIECE: usize = 1 << 20;

/// Finds the bytes of an instance.
type Content = dyn Fn(&App, &Arc<Instance>) -> Answered<Vec<Segment>> + Send + Sync;

/// A zip of these instances, `STUDY/SERIES/INSTANCE.dcm`; of those that are `stored` the bytes are only handed out. What there is
/// nothing to be had of is left out, beside the `holes` that are known, and told in the head of the answer or in the comment of the zip;
/// where that is all, its reason is the answer.
pub async fn answer(
    app: Arc<App>,
    instances: Vec<Arc<Instance>>,
    holes: Holes,
    stored: impl Fn(&Instance) -> bool + Send + Sync + 'static,
    content: impl Fn(&App, &Arc<Instance>) -> Answered<Vec<Segment>> + Send + Sync + 'static,
    method: &Method,
) -> Answered<Response<Body>> {
    let buffer = Buffer::default();
    let writer = ZipWriter::new_stream(buffer.clone());
    let of = instances.len() + holes.count;
    let mut zipping = Zipping {
        app,
        of,
        stored: Box::new(stored),
        content: Arc::new(content),
        left: instances.into_iter(),
        open: Vec::new(),
        writer,
        buffer,
        entries: 0,
        has_begun: false,
        holes,
    };
    // The first piece tells whether there is anything at all.
    let (first, more) = zipping.next().await?;
    if zipping.entries == 0 {
        return Err(zipping.holes.first.unwrap_or_else(|| Problem::not_found("instance")));
    }
    zipping.has_begun = true;
    let mut response = Response::new(Body::empty());
    zipping.holes.tell(Some(of), &mut response);
    let rest = stream::unfold(more.then_some(zipping), |state| async move {
        let mut zipping = state?;
        match zipping.next().await {
            Ok((piece, more)) => Some((Ok(piece), more.then_some(zipping))),
            // The body breaks off: the client sees that it is not whole.
            Err(problem) => {
                tracing::warn!(cause = problem.message(), "a zip breaks off");
                Some((Err(io::Error::other(problem.message().to_owned())), None))
            }
        }
    });
    if *method != Method::HEAD {
        *response.body_mut() = Body::from_stream(stream::StreamExt::chain(stream::iter([Ok(first)]), rest));
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(ZIP));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"dicom.zip\""));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// What the writer has written and nobody has taken yet.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Bytes {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Writer = ZipWriter<StreamWriter<Buffer>>;

/// A zip in the making.
struct Zipping {
    app: Arc<App>,
    /// So many instances were asked for.
    of: usize,
    stored: Box<dyn Fn(&Instance) -> bool + Send + Sync>,
    content: Arc<Content>,
    left: std::vec::IntoIter<Arc<Instance>>,
    /// What of the entry under way is still to come, the last first.
    open: Vec<Segment>,
    writer: Writer,
    buffer: Buffer,
    entries: usize,
    /// The status is sent.
    has_begun: bool,
    holes: Holes,
}

impl Zipping {
    /// The next piece, and whether more will come.
    async fn next(&mut self) -> Answered<(Bytes, bool)> {
        while self.buffer.len() < PIECE {
            if !self.open.is_empty() {
                self.copy().await?;
                continue;
            }
            match self.left.next() {
                Some(instance) => self.begin(instance).await?,
                None => {
                    let mut writer = mem::replace(&mut self.writer, ZipWriter::new_stream(Buffer::default()));
                    if let Some(text) = self.holes.text(Some(self.of)) {
                        writer.set_comment(text).map_err(Problem::internal)?;
                    }
                    writer.finish().map_err(Problem::internal)?;
                    return Ok((self.buffer.take(), false));
                }
            }
        }
        Ok((self.buffer.take(), true))
    }

    /// Begins the entry of an instance.
    async fn begin(&mut self, instance: Arc<Instance>) -> Answered<()> {
        let (content, of) = (self.content.clone(), instance.clone());
        let work = move |app: &App| content(app, &of);
        let found = match (self.stored)(&instance) {
            true => self.app.read(work).await,
            false if self.has_begun => self.app.compute_on(work).await,
            false => self.app.compute(work).await,
        };
        match found {
            Ok(segments) => {
                let size: u64 = segments.iter().map(Segment::len).sum();
                let options = SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored)
                    .large_file(size >= LARGE);
                let name = format!("{}/{}/{}.dcm", instance.study, instance.series, instance.sop);
                self.writer.start_file(name, options).map_err(Problem::internal)?;
                self.open = segments.into_iter().rev().filter(|segment| segment.len() > 0).collect();
                self.entries += 1;
            }
            // Without it the rest would only look whole.
            Err(problem) if problem.is_busy() || (problem.is_of_server() && self.has_begun) => return Err(problem),
            Err(problem) => {
                tracing::warn!(sop = %instance.sop, cause = problem.message(), "left out of the zip");
                self.holes.add(problem);
            }
        }
        Ok(())
    }

    /// Copies a chunk of the entry under way.
    async fn copy(&mut self) -> Answered<()> {
        let Some(mut segment) = self.open.pop() else { return Ok(()) };
        let (chunk, rest) = self
            .app
            .read(move |_| {
                let chunk = segment.read_front().map_err(Problem::internal)?;
                let rest = (segment.len() > 0).then_some(segment);
                Ok((chunk, rest))
            })
            .await?;
        self.open.extend(rest);
        self.writer.write_all(&chunk).map_err(Problem::internal)
    }
}
