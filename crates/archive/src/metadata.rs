//! Metadata in the DICOM JSON model (PS3.18 F.2), prepared once and kept compressed.
//!
//! A series is kept as one run of deflate blocks that ends on a byte boundary, without the brackets of the
//! array. Replies are joined from such runs without compressing anything again: the gzip header, a stored
//! block `[`, the runs with stored blocks `,` between them, a last stored block `]`, and the checksum combined from
//! those of the parts.
//!
//! The addresses in it are what clients get: a series is prepared for the root that was asked for last, and for another one it is
//! made anew from what is kept.

use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, PoisonError};
use std::thread;

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use store::index::attributes::{AVAILABLE_TRANSFER_SYNTAX, attribute, image_attributes, name};
use store::index::{InstanceKey, PreparedRow, SeriesRow};

use crate::archive::{Archive, Inner};
use crate::error::Error;
use crate::instance::Instance;
use crate::rooted::{reroot, root_text};

/// Counts up when the same objects are told differently: what was prepared before is stale then.
const FORM: u16 = 2;

/// A reply: a DICOM JSON array, one object an instance, and its strong entity tag.
///
/// `BulkDataURI` begins with the root that was asked for: `{root}/studies/{S}/series/{E}/instances/{I}/frames` for Pixel Data,
/// `{root}/studies/{S}/series/{E}/instances/{I}/bulkdata/{path}` for the rest. With an empty root it is relative.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Opaque text without quotes; changes whenever what is told changes, the root aside.
    pub etag: String,
    /// When it came to be told so, in seconds since 1970, where it is of one instance.
    pub modified: Option<i64>,
    chunks: Vec<PreparedRow>,
    root: String,
}

impl Prepared {
    fn of(chunks: Vec<PreparedRow>, root: &str) -> Prepared {
        let mut etag = Sha256::new();
        chunks.iter().for_each(|chunk| etag.update(chunk.sha256));
        let etag = etag.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Prepared { etag, modified: None, chunks, root: root.to_owned() }
    }

    /// The same for another root, which is kept nowhere.
    pub fn told_at(self, root: &str) -> Prepared {
        Prepared { root: root_text(root), ..self }
    }

    /// Does [`Prepared::gzip`] only join what is compressed?
    pub fn is_ready(&self) -> bool {
        self.chunks.iter().all(|chunk| chunk.root == self.root)
    }

    /// The array as one gzip member.
    pub fn gzip(&self) -> Result<Vec<u8>, Error> {
        let chunks = self.chunks.iter().map(|chunk| rooted(chunk, &self.root)).collect::<Result<Vec<_>, _>>()?;
        Ok(join(&chunks))
    }
}

impl Archive {
    /// What addresses in metadata are expected to begin with, until somebody asks for another root.
    pub fn expect_root(&self, root: &str) {
        *self.inner.root.lock().unwrap_or_else(PoisonError::into_inner) = root_text(root);
    }

    /// Metadata of all instances of a study.
    pub fn study_metadata(&self, study: &str, root: &str) -> Result<Option<Prepared>, Error> {
        let all = self.inner.index.series_of(study, None)?;
        if all.is_empty() {
            return Ok(None);
        }
        let root = self.asked(root);
        let parts = all.into_iter().map(|series| self.prepared(series, &root)).collect::<Result<Vec<_>, _>>();
        self.unless_deleted(parts.map(|parts| Some(Prepared::of(parts, &root))), study, None)
    }

    /// An error that came of a deletion meanwhile is none: there is no such thing any more.
    fn unless_deleted(
        &self,
        prepared: Result<Option<Prepared>, Error>,
        study: &str,
        series: Option<&str>,
    ) -> Result<Option<Prepared>, Error> {
        match prepared {
            Err(_) if self.version(study, series)?.is_none() => Ok(None),
            other => other,
        }
    }

    /// Metadata of all instances of a series, by Instance Number.
    pub fn series_metadata(&self, study: &str, series: &str, root: &str) -> Result<Option<Prepared>, Error> {
        let found = self.inner.index.series_of(study, Some(series))?.pop();
        let root = self.asked(root);
        let prepared = found.map(|series| Ok(Prepared::of(vec![self.prepared(series, &root)?], &root))).transpose();
        self.unless_deleted(prepared, study, Some(series))
    }

    /// Metadata of one instance (an array of one object).
    pub fn instance_metadata(
        &self,
        study: &str,
        series: &str,
        sop: &str,
        root: &str,
    ) -> Result<Option<Prepared>, Error> {
        let Some(instance) = self.instance(study, series, sop)? else { return Ok(None) };
        let root = root_text(root);
        let mut chunk = ChunkWriter::new(&root);
        chunk.write(&self.inner.metadata(&instance)?);
        Ok(Some(Prepared { modified: Some(instance.stored), ..Prepared::of(vec![chunk.finish()], &root) }))
    }

    /// What the metadata of one instance says, as DICOM JSON.
    pub fn attributes(&self, instance: &Instance, root: &str) -> Result<Map<String, Value>, Error> {
        self.inner.attributes(instance, &if root.is_empty() { String::new() } else { format!("{root}/") })
    }

    /// Prepares the metadata of every series whose prepared one is missing or stale.
    pub fn prepare_metadata(&self) -> Result<(), Error> {
        let stale = self.inner.index.stale(FORM)?;
        let root = self.inner.root.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stale.into_iter().try_for_each(|series| self.prepared(series, &root).map(drop))
    }

    /// The root that is asked for now; what is prepared next is prepared for it.
    fn asked(&self, root: &str) -> String {
        let text = root_text(root);
        self.inner.root.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&text);
        text
    }

    /// The prepared metadata of a series as it is now; made and kept when there is none. One that was made before anybody asked is
    /// made ready for who asks first; for others it stays as it is.
    fn prepared(&self, series: i64, root: &str) -> Result<PreparedRow, Error> {
        let index = &*self.inner.index;
        let kept = || index.prepared(series, FORM);
        let is_ready = |chunk: &PreparedRow| chunk.root == root || !chunk.root.is_empty();
        if let Some(chunk) = kept()?.filter(is_ready) {
            return Ok(chunk);
        }
        let _mine = self.inner.preparing.begin(series);
        let found = kept()?;
        if let Some(chunk) = found.as_ref().filter(|chunk| is_ready(chunk)) {
            return Ok(chunk.clone());
        }
        if let Some(relative) = found {
            let chunk = rooted(&relative, root)?.into_owned();
            index.reroot_prepared(series, chunk.clone())?;
            return Ok(chunk);
        }
        let SeriesRow { version, study, uid } = index.series(series)?;
        // Read after the version: what changes meanwhile makes this stale, never falsely fresh.
        let chunk = self.inner.prepare(&self.instances(&study, Some(&uid))?, root)?;
        index.keep_prepared(series, version, FORM, chunk.clone())?;
        Ok(chunk)
    }
}

impl Inner {
    /// Reads the objects in a few threads; what they say is compressed as one run, in order.
    fn prepare(&self, instances: &[Arc<Instance>], root: &str) -> Result<PreparedRow, Error> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
        let part = instances.len().div_ceil(threads).max(8);
        let parts: Vec<Result<Vec<String>, Error>> = thread::scope(|scope| {
            let read = |part: &[Arc<Instance>]| part.iter().map(|instance| self.metadata(instance)).collect();
            let work: Vec<_> = instances.chunks(part).map(|part| scope.spawn(move || read(part))).collect();
            work.into_iter().map(|work| work.join().unwrap_or(Err(Error::Closed))).collect()
        });
        let mut chunk = ChunkWriter::new(root);
        let mut between = "";
        for part in parts {
            for json in part? {
                chunk.write(between);
                chunk.write(&json);
                between = ",";
            }
        }
        Ok(chunk.finish())
    }

    /// The metadata of one instance as text, with relative addresses.
    fn metadata(&self, instance: &Instance) -> Result<String, Error> {
        Ok(Value::Object(self.attributes(instance, "")?).to_string())
    }

    /// The metadata of one instance, from the stored object.
    fn attributes(&self, instance: &Instance, root: &str) -> Result<Map<String, Value>, Error> {
        let base = format!("{root}studies/{}/series/{}/instances/{}", instance.study, instance.series, instance.sop);
        let uri = |path: &str| match path {
            "7FE00010" => format!("{base}/frames"),
            _ => format!("{base}/bulkdata/{path}"),
        };
        let read = || self.source(&instance.key, instance.size)?.dicom_json(&uri).map_err(Error::from);
        let mut json = match read() {
            Ok(json) => json,
            // One damaged object must not hide a series: what the index has of it is still shown.
            Err(error) => {
                tracing::error!(object = %instance.object_id, %error, "metadata taken from the index alone");
                self.indexed(instance)?
            }
        };
        json.insert(name(AVAILABLE_TRANSFER_SYNTAX), attribute("UI", vec![instance.transfer_syntax.as_str().into()]));
        Ok(json)
    }

    fn indexed(&self, instance: &Instance) -> Result<Map<String, Value>, Error> {
        let (study, series, sop) = (instance.study.clone(), instance.series.clone(), instance.sop.clone());
        let texts = self.index.shown(&InstanceKey { study, series, sop })?;
        let texts = texts.ok_or_else(|| Error::Damaged("the instance is not listed any more".into()))?;
        let mut all = Map::new();
        for text in texts {
            all.extend(serde_json::from_str::<Map<_, _>>(&text).unwrap_or_default());
        }
        image_attributes(&instance.facts, &mut all);
        Ok(all)
    }
}

/// The same with addresses that begin with this.
fn rooted<'a>(chunk: &'a PreparedRow, root: &str) -> Result<Cow<'a, PreparedRow>, Error> {
    if chunk.root == root {
        return Ok(Cow::Borrowed(chunk));
    }
    // RFC 1951 3.2.6: the last block, without a symbol but its end.
    let mut text = DeflateDecoder::new(chunk.deflate.as_slice().chain(&[3, 0][..]));
    let mut new = ChunkWriter::new(root);
    let read = reroot(&mut text, &chunk.root, root, |piece| new.add(piece));
    read.map_err(|error| Error::Damaged(format!("prepared metadata cannot be read: {error}")))?;
    Ok(Cow::Owned(PreparedRow { sha256: chunk.sha256, ..new.finish() }))
}

/// Writes a [`PreparedRow`] for a root.
struct ChunkWriter<'a> {
    compress: Compress,
    deflate: Vec<u8>,
    crc: Hasher,
    sha256: Sha256,
    root: &'a str,
}

impl ChunkWriter<'_> {
    fn new(root: &str) -> ChunkWriter<'_> {
        let compress = Compress::new(Compression::default(), false);
        ChunkWriter { compress, deflate: Vec::with_capacity(16 << 10), crc: Hasher::new(), sha256: Sha256::new(), root }
    }

    /// Adds JSON with relative addresses.
    fn write(&mut self, json: &str) {
        self.sha256.update(json);
        if self.root.is_empty() {
            return self.add(json.as_bytes());
        }
        let root = self.root;
        reroot(&mut json.as_bytes(), "", root, |piece| self.add(piece)).expect("memory can be read");
    }

    /// Adds JSON as it is.
    fn add(&mut self, json: &[u8]) {
        self.crc.update(json);
        self.deflate(json, FlushCompress::None);
    }

    fn finish(mut self) -> PreparedRow {
        self.deflate(&[], FlushCompress::Full);
        PreparedRow {
            bytes: self.compress.total_in(),
            deflate: self.deflate,
            crc: self.crc.finalize(),
            sha256: self.sha256.finalize().into(),
            root: self.root.to_owned(),
        }
    }

    fn deflate(&mut self, mut json: &[u8], flush: FlushCompress) {
        loop {
            self.deflate.reserve(json.len() / 4 + 1024);
            let before = self.compress.total_in();
            let status = self.compress.compress_vec(json, &mut self.deflate, flush);
            debug_assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "{status:?}");
            json = &json[(self.compress.total_in() - before) as usize..];
            // Room left over: all was taken, and what was to be flushed is out.
            if json.is_empty() && self.deflate.len() < self.deflate.capacity() {
                break;
            }
        }
    }
}

/// The JSON array of what is in the chunks, as one gzip member.
fn join(chunks: &[Cow<'_, PreparedRow>]) -> Vec<u8> {
    // RFC 1952 2.3: deflate, no name, no time, unknown system.
    let mut gzip = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let (mut crc, mut bytes) = (Hasher::new(), 0u64);
    let mut stored = |text: u8, last: bool, gzip: &mut Vec<u8>, crc: &mut Hasher| {
        // RFC 1951 3.2.4: a stored block of one byte.
        gzip.extend_from_slice(&[u8::from(last), 1, 0, !1, !0, text]);
        crc.update(&[text]);
        bytes += 1;
    };
    for (n, chunk) in chunks.iter().enumerate() {
        stored(if n == 0 { b'[' } else { b',' }, false, &mut gzip, &mut crc);
        gzip.extend_from_slice(&chunk.deflate);
        crc.combine(&Hasher::new_with_initial_len(chunk.crc, chunk.bytes));
    }
    if chunks.is_empty() {
        stored(b'[', false, &mut gzip, &mut crc);
    }
    stored(b']', true, &mut gzip, &mut crc);
    let bytes = bytes + chunks.iter().map(|chunk| chunk.bytes).sum::<u64>();
    gzip.extend_from_slice(&crc.finalize().to_le_bytes());
    gzip.extend_from_slice(&(bytes as u32).to_le_bytes());
    gzip
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn inflate(gzip: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut out).unwrap();
        out
    }

    fn prepared(parts: &[Vec<String>], kept: &[&str], root: &str) -> Prepared {
        let chunk = |(writes, kept): (&Vec<String>, &&str)| {
            let mut chunk = ChunkWriter::new(kept);
            writes.iter().for_each(|json| chunk.write(json));
            chunk.finish()
        };
        Prepared::of(parts.iter().zip(kept).map(chunk).collect(), root)
    }

    proptest! {
        #[test]
        fn joined_chunks_are_one_gzip_member(parts in proptest::collection::vec(
            proptest::collection::vec(any::<String>(), 0..6), 0..5)) {
            let whole: Vec<String> = parts.iter().map(|writes| writes.concat()).collect();
            let expected = format!("[{}]", whole.join(","));
            let gzip = prepared(&parts, &[""; 5], "").gzip().unwrap();
            prop_assert_eq!(inflate(&gzip), expected.as_bytes());
        }
    }

    #[test]
    fn a_large_chunk_is_whole() {
        let text = |n: u32| char::from(b' ' + ((n.wrapping_mul(2_654_435_761) >> 13) % 90) as u8);
        let json: String = (0..5_000_000u32).map(text).collect();
        let reply = inflate(&prepared(&[vec![json.clone()]], &[""], "").gzip().unwrap());
        assert!(reply[1..reply.len() - 1] == *json.as_bytes());
    }

    #[test]
    fn what_is_kept_for_one_root_is_made_for_another() {
        let part = |n: u32| format!("{{\"7FE00010\":{{\"BulkDataURI\":\"studies/{n}\"}}}}");
        let parts = [vec![part(1), ",".into(), part(2)], vec![part(3)]];
        let kept = prepared(&parts, &["http://a/", ""], "http://b/");
        assert!(!kept.is_ready());
        let text = String::from_utf8(inflate(&kept.gzip().unwrap())).unwrap();
        let expected = [1, 2, 3].map(part).join(",").replace("studies/", "http://b/studies/");
        assert_eq!(text, format!("[{expected}]"));
        let ready = prepared(&parts, &["http://b/"; 2], "http://b/");
        assert!(ready.is_ready());
        assert_eq!((ready.etag.clone(), inflate(&ready.gzip().unwrap())), (kept.etag, text.into_bytes()));
    }
}
