//! `firstlight verify FILE|DIR...`: decodes every frame and prints the SHA-256 of the samples, in the order and type that
//! the report uses.

use crate::args::VerifyFlags;
use crate::failure::{Exit, Failure, without_panic};
use crate::inputs;
use crate::inspect::refuse;
use crate::units::count;
use dicom::Source;
use sha2::{Digest, Sha256};
use std::path::Path;
use transcode::Decode;

/// Runs the command. Goes on after a file that is wrong.
pub fn run(flags: &VerifyFlags) -> Result<Exit, Failure> {
    inputs::each(&flags.files, |file| match without_panic(|| verify(file.path, file.name)) {
        Ok(Ok(())) => Ok(Exit::Well),
        Ok(Err(dicom::Error::NotDicom)) if file.found => Ok(Exit::Well),
        Ok(Err(e)) => refuse(file.name, &e),
        Err(panic) => {
            let failure = Failure::new(format!("{}: {panic}", file.name.display()));
            failure.hint("please report it with this file, if it may be shared").print();
            Ok(Exit::Refused)
        }
    })
}

fn verify(path: &Path, file: &Path) -> Result<(), dicom::Error> {
    let source = Source::open(path)?;
    if source.facts().frames == 0 {
        println!("{:<64}  {}: no pixels", "-", file.display());
        return Ok(());
    }
    let (mut hash, mut samples) = (Sha256::new(), Vec::new());
    for n in 0..source.facts().frames {
        samples.clear();
        source.decode_frame(n, &mut samples)?;
        hash.update(&samples);
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{hash}  {}: {}", file.display(), count(source.facts().frames.into(), "frame"));
    Ok(())
}
