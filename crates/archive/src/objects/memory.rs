//! Objects in memory: a real back end for tests and for archives that need not outlive the program.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Key, Objects, Put, ReadAt, Staged};

/// Objects in memory.
#[derive(Debug, Default)]
pub struct Memory {
    objects: Mutex<HashMap<Key, Arc<Vec<u8>>>>,
}

impl Memory {
    fn get(&self, key: &Key) -> Option<Arc<Vec<u8>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

impl Objects for Memory {
    fn put(&self, staged: Staged) -> io::Result<Put> {
        let bytes = Arc::new(staged.read()?);
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match objects.insert(staged.key(), bytes) {
            None => Put::New,
            Some(_) => Put::Existed,
        })
    }

    fn open(&self, key: &Key) -> io::Result<Arc<dyn ReadAt>> {
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
