//! Objects in memory: a real back end for tests and for archives that need not outlive the program.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use super::key::Key;
use super::{Objects, Put, ReadAt};
use crate::spool::Staged;

/// Objects in memory.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<BTreeMap<Key, Arc<Vec<u8>>>>,
}

impl Memory {
    fn get(&self, key: &Key) -> Option<Arc<Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

impl Objects for Memory {
    fn put(&self, staged: Vec<Staged>) -> Vec<io::Result<Put>> {
        staged.into_iter().map(|staged| self.replace(staged)).collect()
    }

    fn replace(&self, staged: Staged) -> io::Result<Put> {
        let bytes = Arc::new(staged.read()?);
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match objects.insert(staged.key(), bytes) {
            None => Put::New,
            Some(_) => Put::Existed,
        })
    }

    fn open(&self, key: &Key, _size: u64) -> io::Result<Arc<dyn ReadAt>> {
        let bytes = self.get(key).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Bytes(bytes)))
    }

    fn size(&self, key: &Key) -> io::Result<Option<u64>> {
        Ok(self.get(key).map(|bytes| bytes.len() as u64))
    }

    fn remove(&self, key: &Key) -> io::Result<bool> {
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(objects.remove(key).is_some())
    }

    fn list(&self, after: Option<Key>, most: usize) -> io::Result<Vec<(Key, u64)>> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(objects.range((from, Bound::Unbounded)).take(most).map(|(key, bytes)| (*key, bytes.len() as u64)).collect())
    }
}

struct Bytes(Arc<Vec<u8>>);

impl ReadAt for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let to = from.checked_add(buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(self.0.get(from..to).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::contract::Bed;

    crate::objects_contract!(super::tests::memory);

    fn memory() -> Bed {
        Bed::new(|_| Box::<Memory>::default())
    }
}
