//! `firstlight delete` and `firstlight hold`: studies, series and instances out of an archive, back within a grace time, and then gone.

use crate::failure::{Exit, Failure};
use crate::kept;
use crate::settings::delete::{Delete, Held, Hold, Purge, Todo};
use crate::stop::Stop;
use crate::units::{bytes, count, time};
use archive::{Archive, InstanceKey, Purged, Removal, Removed, Scope};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often a server looks for what is due.
const LOOK: Duration = Duration::from_secs(600);
/// How long it sleeps before it looks for the stop.
const NAP: Duration = Duration::from_millis(500);

/// Runs `delete`.
pub fn run(set: Delete) -> Result<Exit, Failure> {
    let archive = kept::archive(&set.data)?;
    match set.what {
        Todo::List { json } => list(&archive, json),
        Todo::Undo(what) => each(&what, |what| undo(&archive, what)),
        Todo::Delete { uids, grace, purge: after } => {
            let deleted = each(&uids, |uid| delete(&archive, uid, grace))?;
            after.map_or(Ok(()), |how| purge(&archive, how))?;
            Ok(deleted)
        }
    }
}

/// Runs `hold`.
pub fn hold(set: Hold) -> Result<Exit, Failure> {
    let archive = kept::archive(&set.data)?;
    match set.what {
        Held::Hold { studies, reason } => each(&studies, |study| {
            if dicom::Uid::parse(study).is_none() {
                return Ok(refused(study, "is no UID"));
            }
            archive.hold(study, &reason).map_err(failed)?;
            println!("held  {study}");
            Ok(Exit::Well)
        }),
        Held::Release(studies) => each(&studies, |study| {
            if !archive.release_hold(study).map_err(failed)? {
                return Ok(refused(study, "is not held"));
            }
            println!("released  {study}");
            Ok(Exit::Well)
        }),
        Held::List { json } => {
            for archive::Hold { study, made, reason } in archive.holds().map_err(failed)? {
                match json {
                    true => println!("{}", json!({"study": study, "made": made, "reason": reason})),
                    false => println!("{study}  since {}  {}", time(made), reason.escape_debug()),
                }
            }
            Ok(Exit::Well)
        }
    }
}

/// Makes deletions final whose grace time is over, a look every ten minutes, until the stop.
pub fn forever(archive: &Archive, stop: &Stop) {
    while !stop.asked() {
        match archive.purge(stop.flag(), &mut |_| {}) {
            Ok(done) if done.removals > 0 => tracing::info!("{}", purged(&done)),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "what was deleted is not removed yet; it is tried again"),
        }
        let waited = Instant::now();
        while waited.elapsed() < LOOK && !stop.asked() {
            std::thread::sleep(NAP);
        }
    }
}

/// Does it for each, and tells the worst of what became of them.
fn each(what: &[String], mut one: impl FnMut(&str) -> Result<Exit, Failure>) -> Result<Exit, Failure> {
    what.iter().try_fold(Exit::Well, |worst, what| Ok(worst.max(one(what)?)))
}

fn delete(archive: &Archive, uid: &str, grace: Duration) -> Result<Exit, Failure> {
    let named = archive.named(uid).map_err(failed)?;
    let scopes: BTreeSet<[Option<&str>; 3]> = named.iter().map(|key| scope(key, uid)).collect();
    if scopes.is_empty() {
        return Ok(refused(uid, "is not in the archive"));
    }
    let mut worst = Exit::Well;
    for [study, series, sop] in scopes {
        let key = |series: &str, sop: &str| InstanceKey {
            study: study.unwrap_or_default().into(),
            series: series.into(),
            sop: sop.into(),
        };
        let study = study.unwrap_or_default();
        let done = match (series, sop) {
            (None, _) => archive.delete(Scope::Study(study), grace),
            (Some(series), None) => archive.delete(Scope::Series(study, series), grace),
            (Some(series), Some(sop)) => archive.delete(Scope::Instance(&key(series, sop)), grace),
        };
        worst = worst.max(match done.map_err(failed)? {
            Removed::Done(removal) => {
                println!("deleted  {}", line(&removal));
                Exit::Well
            }
            // Somebody else was faster.
            Removed::Unknown => refused(uid, "is not in the archive any more"),
            Removed::Held(hold) => {
                let why = if hold.reason.is_empty() { String::new() } else { format!(": {}", hold.reason) };
                refused(uid, &format!("stays: its study is held since {}{why}", time(hold.made)))
            }
        });
    }
    Ok(worst)
}

/// What a UID names, by one of the instances that it names: study, and series, and instance.
fn scope<'a>(key: &'a InstanceKey, uid: &str) -> [Option<&'a str>; 3] {
    match () {
        () if key.study == uid => [Some(&key.study), None, None],
        () if key.series == uid => [Some(&key.study), Some(&key.series), None],
        () => [Some(&key.study), Some(&key.series), Some(&key.sop)],
    }
}

fn undo(archive: &Archive, what: &str) -> Result<Exit, Failure> {
    let number: Option<i64> = what.parse().ok();
    let is_meant = |removal: &Removal| Some(removal.id) == number || named(removal) == what;
    let found: Vec<Removal> = archive.deletions().map_err(failed)?.into_iter().filter(is_meant).collect();
    if found.is_empty() {
        return Ok(refused(what, "was not deleted, or is gone for good"));
    }
    let mut worst = Exit::Well;
    for removal in found {
        let Some(undone) = archive.undelete(removal.id).map_err(failed)? else {
            worst = worst.max(refused(what, "is gone for good"));
            continue;
        };
        println!("back  {}: {}", title(&removal), count(undone.instances, "instance"));
        if undone.taken > 0 {
            let others = count(undone.taken, "instance");
            worst =
                worst.max(refused(what, &format!("{others} stored meanwhile under the same UIDs: delete those first")));
        }
    }
    Ok(worst)
}

fn list(archive: &Archive, json: bool) -> Result<Exit, Failure> {
    for removal in archive.deletions().map_err(failed)? {
        let Removal { id, study, series, sop, made, due, purging, instances, bytes } = &removal;
        match json {
            true => println!(
                "{}",
                json!({"number": id, "study": study, "series": series, "instance": sop, "deleted": made, "due": due,
                    "removing": purging, "instances": instances, "bytes": bytes})
            ),
            false => println!("{id:>4}  {}  {}", time(*made), line(&removal)),
        }
    }
    Ok(Exit::Well)
}

fn purge(archive: &Archive, how: Purge) -> Result<(), Failure> {
    let stop = Stop::on_interrupt();
    let done = archive.purge(stop.flag(), &mut |removal| println!("gone  {}", title(removal))).map_err(failed)?;
    if how.rewrite_index {
        archive.scour().map_err(failed)?;
    } else if done.removals > 0 && !done.scoured {
        eprintln!("the index is large: --rewrite-index makes its files anew, at a time when nobody stores");
    }
    eprintln!("{}", purged(&done));
    Ok(())
}

fn purged(done: &Purged) -> String {
    let (removals, instances) = (count(done.removals, "deletion"), count(done.instances, "instance"));
    format!("{removals} made final: {instances}, {}, {} free", count(done.objects, "object"), bytes(done.bytes))
}

/// What a deletion is of.
fn title(removal: &Removal) -> String {
    let level = match (&removal.series, &removal.sop) {
        (None, _) => "study",
        (Some(_), None) => "series",
        (Some(_), Some(_)) => "instance",
    };
    format!("{level} {}", named(removal))
}

fn named(removal: &Removal) -> &str {
    removal.sop.as_deref().or(removal.series.as_deref()).unwrap_or(&removal.study)
}

fn line(removal: &Removal) -> String {
    let until = match removal.due {
        _ if removal.purging => "being removed".to_owned(),
        i64::MAX => "until it is brought back".to_owned(),
        due => format!("can come back until {}", time(due)),
    };
    format!("{}: {}, {}; {until}", title(removal), count(removal.instances, "instance"), bytes(removal.bytes))
}

fn refused(what: &str, why: &str) -> Exit {
    eprintln!("{}: {why}", what.escape_debug());
    Exit::Refused
}

fn failed(error: archive::Error) -> Failure {
    Failure::new(error.to_string())
}
