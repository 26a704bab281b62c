//! What stands beside the files of a destination.

use crate::chain::Head;
use crate::{proofs, records};
use std::io;
use std::path::Path;

/// Folder beside a destination that holds what Firstlight remembers of it.
pub const STATE_DIR: &str = ".firstlight";

/// Every file of lines in the state of a destination: of records, the rotated ones too, and of evidence.
pub fn heads(state: &Path) -> io::Result<Vec<Head>> {
    let evidence = state.join(proofs::EVIDENCE);
    let files = records::files(state).into_iter().chain(evidence.is_file().then_some(evidence));
    files.map(|file| Head::of(&file)).collect()
}
