//! Whole instances in another transfer syntax (PS3.18 8.7.3.4): made by the one way that proves what it writes, and kept for the ranges
//! that follow.

use crate::error::{Answered, Problem};
use crate::media::Coding;
use crate::state::App;
use archive::Instance;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tempfile::TempDir;
use transcode::{Context, Outcome, Policy, Target};

/// Bytes of decoded frames of an instance that is transcoded on the fly.
const LARGEST: u64 = 1 << 30;

/// The instance, every frame coded so without loss.
pub fn file(app: &App, instance: &Arc<Instance>, coding: Coding) -> Answered<Bytes> {
    let key = format!("transcoded {} {}", coding.syntax(), instance.object_id);
    if let Some(bytes) = app.made.get(&key) {
        app.metrics.cache_hits.fetch_add(1, Relaxed);
        return Ok(bytes);
    }
    app.metrics.cache_misses.fetch_add(1, Relaxed);
    let target = coding.target().ok_or_else(|| refuse("an instance is not coded with loss"))?;
    if instance.facts.frame_bytes().saturating_mul(instance.facts.frames.into()) > LARGEST {
        return Err(refuse("it is too large to be coded anew at once: ask for its frames"));
    }
    let bytes = Bytes::from(convert(app, instance, target)?);
    app.made.put(key, bytes.clone(), bytes.len());
    Ok(bytes)
}

fn convert(app: &App, instance: &Arc<Instance>, target: Target) -> Answered<Vec<u8>> {
    let source = app.archive.source(instance)?;
    let folder = TempDir::new().map_err(Problem::internal)?;
    let path = folder.path().join("made.dcm");
    let mut context = Context::default();
    context.way_back = false;
    let outcome = transcode::convert(&source, &policy(target)?, &mut context, &path).map_err(Problem::internal)?;
    match outcome {
        Outcome::Converted(verified) => std::fs::read(verified.path()).map_err(Problem::internal),
        Outcome::Kept { reason, .. } => Err(refuse(&reason)),
        Outcome::Disproved(disproved) => Err(Problem::internal(disproved.reason)),
    }
}

/// The policy that asks for this of every instance: also of one that is lossy already.
fn policy(target: Target) -> Answered<Policy> {
    let then = format!("then = {{ transfer_syntax = \"{}\" }}", target.name());
    let rule = |name: &str, lossy: bool| format!("[[rule]]\nname = \"{name}\"\nwhen = {{ lossy = {lossy} }}\n{then}\n");
    Policy::parse(&(rule("asked", false) + &rule("asked, lossy", true))).map_err(Problem::internal)
}

fn refuse(reason: &str) -> Problem {
    Problem::not_acceptable(format!("{reason}; it can be had as it is stored: ask for transfer-syntax=*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_has_a_policy() {
        for coding in [Coding::JpegLs, Coding::Htj2k, Coding::Htj2kRpcl, Coding::JpegXl] {
            assert_eq!(policy(coding.target().unwrap()).unwrap().rules().count(), 2, "{coding:?}");
        }
    }
}
