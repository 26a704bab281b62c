//! Who asks, what they may, and what they did.
//!
//! ```text
//! right, filter, grant   what may be done, and with which studies
//! identity               who asks, and what they were granted
//! secret, password       by what they are known; only hashes of it are kept
//! shown, door            from a key, a session or a link to an identity, with a short memory
//! users, keys, shares, sessions   made, listed, taken back
//! record                 what happened, as audit messages in a chain
//! token                  what an identity provider vouches for
//! pace                   how often may be tried
//! ```
//!
//! Everything is decided in one place: [`Door::may`] for one study, [`Identity::reach`] for a search. A study that may not be seen is
//! as one that is not there.

mod door;
mod error;
mod filter;
mod grant;
mod identity;
mod keys;
mod pace;
mod password;
pub mod record;
mod right;
mod secret;
mod sessions;
mod shares;
mod shown;
mod time;
mod token;
mod users;

pub use archive::StudyFacts;
pub use door::{Door, Mode, Options};
pub use error::Error;
pub use filter::{Filter, Part};
pub use grant::{Grant, Grants};
pub use identity::{Identity, Reach, Who};
pub use keys::{Key, NewKey};
pub use pace::{Pace, TooOften};
pub use right::{Right, Rights};
pub use secret::Secret;
pub use sessions::{IDLE, LONGEST, Session};
pub use shares::{NewShare, Opened, Peek, Share};
pub use shown::Shown;
pub use token::{Begun, Fetch, Provider, ProviderSettings, Refused, Rule};
pub use users::{FIRST, User, check_name, check_password};
