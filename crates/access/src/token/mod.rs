//! Tokens of an identity provider (RFC 7519, OpenID Connect Core 1.0): who holds one is somebody whom the provider vouches for.
//!
//! ```text
//! jws       the compact form, taken apart in bounds (RFC 7515)
//! jwk       the provider's keys (RFC 7517); what a signature is made with is ours to say, never the token's
//! claims    what is vouched for, to whom and for how long
//! keyring   the keys as they are now: fetched, kept, and fetched again when a new one turns up
//! rules     what somebody with these claims may
//! provider  all of it together
//! ```

mod claims;
mod jwk;
mod jws;
mod keyring;
mod provider;
mod rules;

pub use keyring::Fetch;
pub use provider::{Begun, Provider, ProviderSettings, Refused};
pub use rules::Rule;
