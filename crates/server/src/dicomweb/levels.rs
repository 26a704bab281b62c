//! Where each resolution level of each frame ends, so that a client can ask for whole levels.

use super::frames::Wire;
use super::target::Target;
use crate::error::{Answered, Problem};
use crate::reply::{self, Reply};
use crate::state::App;
use archive::{FrameEntry, Instance};
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Levels of the instances of a series, or of one instance.
pub async fn retrieve(State(app): State<Arc<App>>, target: Target) -> Answered<Response<Body>> {
    app.read(move |app| {
        let instances = target.find_instances(app)?;
        let tag = tag(&instances);
        let key = format!("levels {tag}");
        let gzip = match app.made.get(&key) {
            Some(gzip) => gzip,
            None => {
                let gzip =
                    Bytes::from(reply::gzip(&serde_json::to_vec(&Levels::of(&instances)).map_err(Problem::internal)?));
                app.made.put(key, gzip.clone(), gzip.len());
                gzip
            }
        };
        let reply = Reply::prepared("application/json", gzip, &target.headers)?.tagged(tag);
        Ok(reply.answer(&target.method, &target.headers))
    })
    .await
}

/// Changes with any of the objects, and with their levels: a table of frames may gain some while the object stays.
fn tag(instances: &[Arc<Instance>]) -> String {
    let mut hash = Sha256::new();
    for instance in instances {
        hash.update(instance.sop.as_bytes());
        hash.update(instance.object_id.as_bytes());
        instance.frames.iter().for_each(|frame| name(frame, &mut hash));
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that is told of a frame.
fn name(frame: &FrameEntry, hash: &mut Sha256) {
    hash.update(frame.len.to_le_bytes());
    hash.update((frame.levels.len() as u64).to_le_bytes());
    for level in &frame.levels {
        hash.update(level.end.to_le_bytes());
        hash.update(level.crc32.map_or(u64::MAX, u64::from).to_le_bytes());
    }
}

/// In the order of the series, which is mostly that of its slices: a client may begin with it before it knows more.
#[derive(Serialize)]
struct Levels<'a> {
    #[serde(serialize_with = "as_object")]
    instances: Vec<(&'a str, OfInstance)>,
}

fn as_object<S: Serializer>(pairs: &[(&str, OfInstance)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().map(|(uid, of)| (uid, of)))
}

/// Levels of one instance.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfInstance {
    transfer_syntax: String,
    body_offset: u64,
    frames: Vec<OfFrame>,
}

#[derive(Serialize)]
struct OfFrame {
    length: u64,
    ends: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32: Option<Vec<u32>>,
}

impl<'a> Levels<'a> {
    fn of(instances: &'a [Arc<Instance>]) -> Levels<'a> {
        Levels {
            instances: instances.iter().map(|instance| (instance.sop.as_str(), OfInstance::of(instance))).collect(),
        }
    }
}

impl OfInstance {
    fn of(instance: &Instance) -> OfInstance {
        let wire = Wire::of(instance);
        // Of what is made anew for each client no length is known.
        let stored = instance.frames.iter().filter(|_| wire.as_stored());
        OfInstance {
            transfer_syntax: wire.syntax.uid().to_owned(),
            body_offset: wire.body_offset(),
            frames: stored.map(OfFrame::of).collect(),
        }
    }

    /// The same of frame `n` (from 0) alone.
    pub fn of_frame(instance: &Instance, n: u32) -> OfInstance {
        let mut of = OfInstance::of(instance);
        of.frames = of.frames.into_iter().nth(n as usize).into_iter().collect();
        of
    }
}

impl OfFrame {
    fn of(frame: &FrameEntry) -> OfFrame {
        let mut ends: Vec<u64> = frame.levels.iter().map(|level| level.end).collect();
        // The last level reaches to the end of what is sent, a pad byte included.
        if let Some(last) = ends.last_mut() {
            *last = frame.len;
        }
        let crc32: Option<Vec<u32>> = frame.levels.iter().map(|level| level.crc32).collect();
        OfFrame { length: frame.len, ends, crc32: crc32.filter(|all| !all.is_empty()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use archive::LevelEntry;

    #[test]
    fn more_levels_have_another_name() {
        let named = |levels: &[(u64, Option<u32>)]| {
            let level = |(end, crc32): &(u64, Option<u32>)| LevelEntry {
                level: 0,
                width: 1,
                height: 1,
                end: *end,
                crc32: *crc32,
            };
            let levels = levels.iter().map(level).collect();
            let mut hash = Sha256::new();
            name(&FrameEntry { offset: 0, len: 100, fragments: vec![], levels }, &mut hash);
            hash.finalize()
        };
        let all =
            [named(&[]), named(&[(99, None)]), named(&[(20, None), (99, None)]), named(&[(20, Some(1)), (99, None)])];
        assert!((1..all.len()).all(|n| !all[..n].contains(&all[n])));
    }

    #[test]
    fn the_agreed_shape() {
        let level = |level, end| LevelEntry { level, width: 1, height: 1, end, crc32: Some(end as u32) };
        let frame = FrameEntry { offset: 0, len: 100, fragments: vec![], levels: vec![level(1, 20), level(0, 99)] };
        let plain = FrameEntry { len: 7, ..FrameEntry::default() };
        let of = OfInstance {
            transfer_syntax: "1.2".into(),
            body_offset: 123,
            frames: vec![OfFrame::of(&frame), OfFrame::of(&plain)],
        };
        assert_eq!(
            serde_json::to_string(&Levels { instances: vec![("9.9", of)] }).unwrap(),
            "{\"instances\":{\"9.9\":{\"transferSyntax\":\"1.2\",\"bodyOffset\":123,\"frames\":[\
             {\"length\":100,\"ends\":[20,100],\"crc32\":[20,99]},{\"length\":7,\"ends\":[]}]}}}"
        );
    }
}
