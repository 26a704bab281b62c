//! `firstlight verify FILE...`: decodes every frame and prints the SHA-256 of the samples, in the order and type that
//! the report uses.

use crate::args::VerifyFlags;
use crate::failure::{Exit, Failure};
use crate::inspect::refuse;
use crate::units::count;
use sha2::{Digest, Sha256};
use std::path::Path;
use transcode::Source;

/// Runs the command. Goes on after a file that is wrong.
pub fn run(flags: &VerifyFlags) -> Result<Exit, Failure> {
    let mut exit = Exit::Well;
    for file in &flags.files {
        exit = exit.max(verify(file).or_else(|e| match e {
            transcode::Error::Io(_) => refuse(file, &e).or_else(|failure| {
                failure.print();
                Ok(Exit::Environment)
            }),
            _ => refuse(file, &e),
        })?);
    }
    Ok(exit)
}

fn verify(file: &Path) -> Result<Exit, transcode::Error> {
    let source = Source::open(file)?;
    if source.facts().frames == 0 {
        println!("{:<64}  {}: no pixels", "-", file.display());
        return Ok(Exit::Well);
    }
    let (mut hash, mut samples) = (Sha256::new(), Vec::new());
    for n in 0..source.facts().frames {
        samples.clear();
        source.decode_frame(n, &mut samples)?;
        hash.update(&samples);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{hash}  {}: {}", file.display(), count(source.facts().frames.into(), "frame"));
    Ok(Exit::Well)
}
