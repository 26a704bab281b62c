//! What somebody decides of instances: that a failed conversion is tried once more, and which of several objects under the same UIDs is handed
//! out.

use super::key::InstanceKey;
use super::register::NewInstance;
use crate::Error;
use crate::objects::Key;

/// The answer to who wants another object handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// It is.
    Done,
    /// There is no such object, or it is kept beside no other.
    Unknown,
    /// Its bytes were released: they have to be restored first.
    Released,
}

/// Decisions of people.
pub trait Amending {
    /// Lets an instance wait for conversion whose conversion failed; false where it did not, or is not there.
    fn try_again(&self, key: &InstanceKey) -> Result<bool, Error>;

    /// Takes an object off the list of conflicts: it stays beside the one that is handed out. False where it is not on it.
    fn settle(&self, object: &Key) -> Result<bool, Error>;

    /// Hands out an object in the place of the one that came before it under the same UIDs, which is kept beside it; it waits for conversion as
    /// if it had just come. `new` is what is known of it; the `common` and `more` of its instance are told from now on. No conflict is left by that.
    /// A conversion that is going on of the other one ends as one that lost its lease.
    fn hand_out(&self, new: NewInstance) -> Result<Chosen, Error>;
}
