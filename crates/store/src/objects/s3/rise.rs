//! Objects on their way up: small ones in one request, large ones in parts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, PutMode};
use tokio::sync::SemaphorePermit;

use super::far::{Far, RISING, Seen};
use super::fault::{persist, told};
use crate::objects::{Key, Put};
use crate::spool::Staged;

/// Bytes that go up in one request; more go in parts of at least as many.
const PART: u64 = 8 << 20;
/// Parts that an object may have.
const PARTS: u64 = 10_000;
/// Parts of one object that go up at once.
const AT_ONCE: usize = 4;
/// How often a name is tried that another writer is just making.
const TURNS: u32 = 20;

/// Puts an object under its key; over what is there, if told so.
pub(super) async fn rise(far: Arc<Far>, staged: Staged, over: bool) -> io::Result<Put> {
    let (key, size) = (staged.key(), staged.size());
    let file = Arc::new(File::open(staged.path())?);
    if file.metadata()?.len() != size {
        return Err(io::Error::other("the file has another length now"));
    }
    let put = match size <= PART {
        true => small(&far, key, size, file, over).await,
        false => large(&far, key, size, file, over).await,
    };
    if put.is_err() {
        far.forget(&key);
    }
    put
}

/// One request, which makes the object only if there is none, unless it goes over what is there.
async fn small(far: &Far, key: Key, size: u64, file: Arc<File>, mut over: bool) -> io::Result<Put> {
    let _room = room(far, size).await?;
    let (bytes, path) = (section(file, 0, size).await?, far.path(&key));
    for turn in 0..TURNS {
        let mode = if over { PutMode::Overwrite } else { PutMode::Create };
        match persist(|| far.writes.put_opts(&path, bytes.clone().into(), mode.clone().into())).await {
            Ok(done) => {
                if over {
                    far.replaced(&key, None);
                }
                // Without an ETag it is not known as what the bytes are given.
                if let Some(tag) = done.e_tag {
                    let seen = Seen::written(size, &tag);
                    far.knows(&key, seen);
                    far.blocks.insert_all(key, seen.version, &bytes);
                }
                return Ok(Put::New);
            }
            Err(Error::AlreadyExists { .. }) => match far.head(&key).await.map_err(told)? {
                Some(there) if there.size == size => return Ok(Put::Existed),
                // Bytes of another length are not these: they are damaged.
                Some(_) => over = true,
                // Somebody else is putting it, and may not succeed.
                None => tokio::time::sleep(Duration::from_millis(20) * (turn + 1)).await,
            },
            Err(error) => return Err(told(error)),
        }
    }
    Err(io::Error::other("another program is writing the object and does not finish"))
}

/// In parts. There is no "only if there is none" for these, and no need: whoever writes this name writes these bytes.
async fn large(far: &Far, key: Key, size: u64, file: Arc<File>, over: bool) -> io::Result<Put> {
    let before = far.head(&key).await.map_err(told)?;
    if !over && before.as_ref().is_some_and(|there| there.size == size) {
        return Ok(Put::Existed);
    }
    let path = far.path(&key);
    let upload = persist(|| far.writes.create_multipart(&path)).await.map_err(told)?;
    let parts = parts(far, &path, &upload, size, file).await;
    let completed = match parts {
        Ok(parts) => complete(far, &key, &path, &upload, parts, size, before.as_ref()).await,
        Err(error) => Err(error),
    };
    if completed.is_err()
        && let Err(error) = far.writes.abort_multipart(&path, &upload).await
    {
        tracing::debug!(%error, "an upload that failed is left to the rules of the bucket");
    }
    let now = completed?;
    far.replaced(&key, before.as_ref().map(Seen::of));
    far.knows(&key, now);
    Ok(Put::New)
}

/// Sends all parts, some at once.
async fn parts(far: &Far, path: &Path, upload: &String, size: u64, file: Arc<File>) -> io::Result<Vec<PartId>> {
    let each = size.div_ceil(PARTS).next_multiple_of(1 << 20).max(PART);
    let part = |n: u64| {
        let file = file.clone();
        async move {
            let (from, bytes) = (n * each, each.min(size - n * each));
            let _room = room(far, bytes).await?;
            let bytes = section(file, from, bytes).await?;
            let sent = persist(|| far.writes.put_part(path, upload, n as usize, bytes.clone().into())).await;
            sent.map_err(told)
        }
    };
    stream::iter(0..size.div_ceil(each)).map(part).buffered(AT_ONCE).try_collect().await
}

/// Makes the parts an object, and says what it is. Where the answer is lost, the upload is gone the second time it is asked: then the object is looked at.
async fn complete(
    far: &Far,
    key: &Key,
    path: &Path,
    upload: &String,
    parts: Vec<PartId>,
    size: u64,
    before: Option<&ObjectMeta>,
) -> io::Result<Seen> {
    let done = persist(|| far.writes.complete_multipart(path, upload, parts.clone())).await;
    let now = far.head(key).await.map_err(told)?.filter(|now| now.size == size);
    let other = |now: &ObjectMeta| {
        before.is_none_or(|b| b.size != size || b.e_tag != now.e_tag || b.last_modified != now.last_modified)
    };
    match (done, now) {
        (Ok(_), Some(now)) => Ok(Seen::of(&now)),
        (Ok(_), None) => Err(io::Error::other("the store has not what it acknowledged")),
        (Err(_), Some(now)) if other(&now) => Ok(Seen::of(&now)),
        (Err(error), _) => Err(told(error)),
    }
}

/// Memory for what goes up.
async fn room(far: &Far, bytes: u64) -> io::Result<SemaphorePermit<'_>> {
    let mebibytes = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(RISING).clamp(1, RISING);
    far.rising.acquire_many(mebibytes).await.map_err(io::Error::other)
}

/// Bytes of a file.
async fn section(file: Arc<File>, from: u64, bytes: u64) -> io::Result<Bytes> {
    let read = move || {
        let mut section = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut section, from)?;
        Ok(Bytes::from(section))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}
