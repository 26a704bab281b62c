//! De-identification (PS3.15 Annex E): an instance in, an instance out that does not tell whose it was.
//!
//! The order of the work: `burned_in` looks for what no rule on attributes can clean and blocks or flags it; `rewrite` walks
//! the data set and puts a new one together, element by element, as the [`Profile`] says; `streams` blanks the comments
//! within compressed frames; `check` walks the result once more and lets nothing through that should be gone.
//!
//! The result is a [`Source`] like any other, made of new header bytes and the pixel bytes of the file it comes from: no copy is
//! written, and whatever follows (policy, conversion, verification, storing) never sees the original.

mod burned_in;
mod check;
mod clean;
mod error;
mod key;
mod private;
mod profile;
mod rewrite;
mod streams;
mod values;

pub use burned_in::BurnedIn;
pub use error::{Error, Result};
pub use key::{Key, KeyError};
pub use profile::{Profile, ProfileError, ProfileOption};

use dicom::input::Input;
use dicom::source::Source;

/// De-identifies instances under one profile and one key.
#[derive(Debug, Clone)]
pub struct Deidentifier {
    /// What is removed, replaced and retained.
    pub profile: Profile,
    /// What is done with images that may show text.
    pub burned_in: BurnedIn,
    key: Key,
}

/// An instance without identity.
#[derive(Debug)]
pub struct Deidentified {
    /// The instance.
    pub source: Source,
    /// What a person should look at before it is given away.
    pub flags: Vec<String>,
}

impl Deidentifier {
    /// A de-identifier that blocks images that may show text.
    pub fn new(profile: Profile, key: Key) -> Self {
        Deidentifier { profile, burned_in: BurnedIn::default(), key }
    }

    /// The key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What tells apart objects made under other options or another key; tells nothing of the key.
    pub fn fingerprint(&self) -> String {
        self.key.token("profile", format!("{}/{:?}", self.profile, self.burned_in).as_bytes())
    }

    /// The instance as the profile lets it go out. [`Error::Identifying`]: it holds what can't be
    /// cleaned here. No error holds a value of the instance.
    pub fn apply(&self, source: &Source) -> Result<Deidentified> {
        let flags = burned_in::examine(source, self.burned_in)?;
        let rope = rewrite::rewrite(self, source)?;
        let clean = Source::read(Input::from_rope(rope)?)?;
        check::check(self, source, &clean)?;
        Ok(Deidentified { source: clean, flags })
    }
}
