//! What `audit` works with.

use super::{File, jobs};
use crate::args::AuditFlags;
use crate::args::migrate::pairs;
use crate::failure::Failure;
use std::path::PathBuf;

/// An audit.
pub struct Audit {
    pub sources: Vec<PathBuf>,
    pub destination: PathBuf,
    pub heads: Vec<String>,
    pub headers: Vec<(String, String)>,
    pub jobs: usize,
    pub json: bool,
    pub quiet: bool,
    /// Only the record of who saw what.
    pub access: bool,
}

/// Completes the flags of `audit`.
pub fn audit(flags: AuditFlags, file: File) -> Result<Audit, Failure> {
    let mut sources = flags.paths;
    let destination = flags.data.or_else(|| sources.pop()).or(file.data).ok_or_else(|| {
        Failure::new("no destination was named")
            .hint("firstlight audit DST: a folder that convert or migrate wrote, or an archive")
    })?;
    let wrong = |head: &&String| head.len() != 64 || !head.bytes().all(|digit| digit.is_ascii_hexdigit());
    if let Some(head) = flags.head.iter().find(wrong) {
        return Err(Failure::new(format!("{head:?} is no head"))
            .hint("a head has 64 hexadecimal digits, as audit and report print it"));
    }
    Ok(Audit {
        sources,
        destination,
        heads: flags.head.iter().map(|head| head.to_ascii_lowercase()).collect(),
        headers: pairs(flags.header),
        jobs: jobs(flags.jobs.or(file.jobs)),
        json: flags.json,
        quiet: flags.quiet,
        access: flags.access,
    })
}
