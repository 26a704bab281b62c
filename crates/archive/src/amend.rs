//! What somebody decides of instances: that a failed conversion is tried once more, and which of several objects under the same UIDs is handed
//! out.

use store::Key;
use store::index::{Beside, Chosen, InstanceKey};

use crate::archive::Archive;
use crate::error::Error;
use crate::ingest::row;

impl Archive {
    /// Lets an instance wait for conversion whose conversion failed; false where it did not, or is not there.
    pub fn try_again(&self, key: &InstanceKey) -> Result<bool, Error> {
        Ok(self.inner.index.try_again(key)?)
    }

    /// Takes an object off the list of conflicts; both stay as they are. False where it is not on it.
    pub fn settle(&self, object_id: &str) -> Result<bool, Error> {
        let Some(object) = Key::parse(object_id) else { return Ok(false) };
        Ok(self.inner.index.settle(&object)?)
    }

    /// The objects that are kept beside others, and that somebody has decided about.
    pub fn settled(&self) -> Result<Vec<Beside>, Error> {
        Ok(self.inner.index.settled()?)
    }

    /// Hands out an object in the place of the one that has its UIDs, which is kept beside it. Its study and series are told of by it where they
    /// were by the other.
    pub fn hand_out(&self, object_id: &str) -> Result<Chosen, Error> {
        let inner = &*self.inner;
        let Some(object) = Key::parse(object_id) else { return Ok(Chosen::Unknown) };
        let bytes = inner.objects.size(&object).map_err(Error::io("looking for an object"))?;
        let Some(bytes) = bytes else { return Ok(Chosen::Unknown) };
        let new = row(&inner.stored_source(&object, bytes)?, object, bytes)?;
        let key = new.key.clone();
        let chosen = inner.index.hand_out(new)?;
        if chosen == Chosen::Done {
            inner.retell_of(&key)?;
        }
        Ok(chosen)
    }
}
