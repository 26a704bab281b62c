//! Users, secrets and labels: who may see what is the business of others, only their rows are kept here.

use store::index::Accounts;

use crate::archive::Archive;

impl Archive {
    /// Where users, secrets and labels are kept.
    pub fn accounts(&self) -> &dyn Accounts {
        &*self.inner.index
    }
}
