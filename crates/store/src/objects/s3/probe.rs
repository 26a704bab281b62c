//! What a store must do is tried once, at the start, with an object of a few bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

use super::address::Address;
use super::far::below;
use super::fault::{is_of_the_way, reason};
use super::unusable::Unusable;

const BYTES: &[u8] = b"firstlight looks whether this store keeps what it is given";

/// Puts, puts again where that must be refused, reads a range, and removes; then it must be said to be missing, and lists.
pub(super) async fn probe(store: &AmazonS3, address: &Address) -> Result<(), Unusable> {
    let path = below(address, &format!("probe/{}", name()));
    let put = || store.put_opts(&path, BYTES.into(), PutMode::Create.into());
    match put().await {
        // The name is its own: the first answer was lost, and it was asked again.
        Ok(_) | Err(Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(unusable(address, "write", &error)),
    }
    let second = put().await;
    let read = store.get_range(&path, 11..16).await;
    let removed = store.delete(&path).await;
    match second {
        Err(Error::AlreadyExists { .. }) => {}
        Ok(_) | Err(Error::NotImplemented { .. }) => return Err(Unusable::Unconditional(address.to_string())),
        Err(error) => return Err(unusable(address, "write", &error)),
    }
    let read = read.map_err(|error| unusable(address, "read", &error))?;
    if read[..] != BYTES[11..16] {
        return Err(Unusable::Untrue(address.to_string(), "a range of it has other bytes".into()));
    }
    removed.map_err(|error| unusable(address, "remove", &error))?;
    missing(store, &path, address).await?;
    let listed = store.list(Some(&below(address, "objects"))).try_next().await;
    listed.map(drop).map_err(|error| unusable(address, "list", &error))
}

/// Without the right to list, S3 refuses a missing name as it refuses one that may not be read: nothing could be told to be missing then.
async fn missing(store: &AmazonS3, path: &Path, address: &Address) -> Result<(), Unusable> {
    match store.head(path).await {
        Err(Error::NotFound { .. }) => Ok(()),
        Ok(_) => Err(Unusable::Untrue(address.to_string(), "what was removed is still there".into())),
        Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
            let why =
                format!("a missing object is refused, not said to be missing (s3:ListBucket): {}", reason(&error));
            Err(Unusable::Refused(address.to_string(), "list", why))
        }
        Err(error) => Err(unusable(address, "read", &error)),
    }
}

fn unusable(address: &Address, what: &'static str, error: &Error) -> Unusable {
    let (address, why) = (address.to_string(), reason(error));
    match error {
        Error::NotFound { .. } => Unusable::NoBucket(address),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Unusable::Refused(address, what, why),
        error if is_of_the_way(error) => Unusable::Unreachable(address, why),
        _ => Unusable::Refused(address, what, why),
    }
}

fn name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{now:x}-{:x}", std::process::id())
}
