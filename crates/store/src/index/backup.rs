//! What a backup needs of the index: a copy of it as it is at one moment, and every object that it names.

use std::path::Path;

use crate::Error;
use crate::objects::Key;

/// An object that some row names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedObject {
    /// The object.
    pub key: Key,
    /// Its bytes.
    pub bytes: u64,
    /// It was released: it may be gone, for there is a way back to it.
    pub released: bool,
}

/// Copies of the index.
pub trait BackingUp {
    /// Writes the index as it is at one moment into a file, which is one of SQLite and is not there yet, while others read and write; durable
    /// when this returns. False where the engine has no such copies, and nothing is written.
    fn copy_to(&self, file: &Path) -> Result<bool, Error>;

    /// Every object that a row names, served or not, or deleted and not forgotten, in the order of their keys: at most `most` after this one.
    fn named_objects(&self, after: Option<Key>, most: usize) -> Result<Vec<NamedObject>, Error>;
}
