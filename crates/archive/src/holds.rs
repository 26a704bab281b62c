//! What an archive holds of a file, asked by the SHA-256 of its bytes; and what it holds in all.

use store::Key;
use store::index::{Holding, Holdings};

use crate::archive::Archive;
use crate::error::Error;

impl Archive {
    /// What became of these bytes; `None` where they never came.
    pub fn holding(&self, sha256: [u8; 32]) -> Result<Option<Holding>, Error> {
        Ok(self.inner.index.holding(&Key::new(sha256))?)
    }

    /// Counts of what is served.
    pub fn holdings(&self) -> Result<Holdings, Error> {
        Ok(self.inner.index.holdings()?)
    }

    /// Does the index list an object of this name?
    pub fn lists(&self, sha256: [u8; 32]) -> Result<bool, Error> {
        Ok(self.inner.index.lists(&Key::new(sha256))?)
    }
}
