//! What workers made is put in its place, a few files together: a storage that is waited for once serves them all.

use crate::folders::{Folders, same_bytes, sync_with_folder};
use crate::notice::Advice;
use crate::output::{Done, RestoreFile, StagedFile, StagedOutput, Stopped, cannot_write};
use crate::proofs::{Entry, Proofs};
use crate::step::step;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Puts files in their places, for all workers of a run.
pub struct Publisher<'a> {
    destination: &'a Path,
    /// Folder of the residues.
    residues: Option<&'a Path>,
    proofs: Option<&'a Proofs>,
    folders: Folders,
}

impl<'a> Publisher<'a> {
    /// A publisher of the run that writes to `destination`, an absolute path.
    pub fn new(destination: &'a Path, residues: Option<&'a Path>, proofs: Option<&'a Proofs>) -> Self {
        Publisher { destination, residues, proofs, folders: Folders::default() }
    }

    /// Puts all in their places, and answers when they are on the storage, with their names. Whatever fails has no place; what
    /// is proven of a file is on the storage before it gets its own.
    pub fn publish(&mut self, made: Vec<StagedOutput>) -> Vec<Done> {
        let (mut done, placings): (Vec<Done>, Vec<_>) = made.into_iter().map(|made| (made.done, made.staged)).unzip();
        let mut files: Vec<(usize, StagedFile)> =
            placings.into_iter().enumerate().filter_map(|(n, placing)| Some((n, placing?))).collect();
        let mut failed = Vec::new();
        let mut each = |files: &mut Vec<(usize, StagedFile)>,
                        step: &mut dyn FnMut(&mut StagedFile) -> Result<(), Stopped>| {
            files.retain_mut(|(n, placing)| match step(placing) {
                Ok(()) => true,
                Err(stopped) => {
                    failed.push((*n, std::mem::take(&mut placing.source), stopped, placing.entry.take()));
                    false
                }
            });
        };
        each(&mut files, &mut |placing| placing.sync().map_err(cannot_write));
        each(&mut files, &mut |placing| {
            placing.there = self.may_take(&placing.place, placing.file.path(), placing.ours)?;
            Ok(())
        });
        let told = self.prove(&files);
        let mut proven = 0;
        each(&mut files, &mut |_| told.as_ref().map(|()| proven += 1).map_err(|e| cannot_write(copy_of(e))));
        each(&mut files, &mut |placing| self.put(placing));
        let settled = self.folders.settle();
        each(&mut files, &mut |_| settled.as_ref().map(|_| ()).map_err(|e| cannot_write(copy_of(e))));
        if let Some(proofs) = self.proofs.filter(|_| proven > 0) {
            let without: Vec<&Entry> =
                failed.iter().rev().take(proven - files.len()).filter_map(|f| f.3.as_ref()).collect();
            proofs.settle(&without);
        }
        for (n, source, stopped, _) in failed {
            done[n].stopped(&source, stopped);
        }
        done
    }

    fn prove(&self, files: &[(usize, StagedFile)]) -> io::Result<()> {
        let Some(proofs) = self.proofs else { return Ok(()) };
        let entries: Vec<&Entry> = files.iter().filter_map(|(_, placing)| placing.entry.as_ref()).collect();
        proofs.add(&entries)
    }

    fn put(&mut self, placing: &mut StagedFile) -> Result<(), Stopped> {
        let place = &placing.place;
        if let (RestoreFile::Residue(residue, to), Some(folder)) = (&placing.residue, self.residues) {
            self.folders.make(folder, to).map_err(cannot_write)?;
            self.folders.put(&residue.0, to).map_err(cannot_write)?;
        }
        if !placing.there {
            self.folders.make(self.destination, place).map_err(cannot_write)?;
            self.folders.put(placing.file.path(), place).map_err(cannot_write)?;
        }
        match &placing.residue {
            RestoreFile::Removed(path) => match step().and_then(|()| fs::remove_file(path)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(e)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A file that is there already and is not known to be ours is never replaced: the same bytes are as good as
    /// written, others are refused. True when it is there.
    fn may_take(&mut self, place: &Path, new: &Path, ours: bool) -> Result<bool, Stopped> {
        if ours || fs::symlink_metadata(place).is_err() {
            return Ok(false);
        }
        if same_bytes(place, new).unwrap_or(false) {
            // Who put it there may have died before it was on the storage.
            self.folders.make(self.destination, place).map_err(cannot_write)?;
            sync_with_folder(place).map_err(cannot_write)?;
            return Ok(true);
        }
        let line = format!("{} is there already and was not written by an earlier run", place.display());
        Err(Stopped::Failed { why: line, advice: Some(Advice::MoveAway), full: false })
    }
}

fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), error.to_string()), io::Error::from_raw_os_error)
}

/// Takes what came until there is `most`, or `longest` has passed since the first; `None` when nothing will come.
pub fn together<T>(inbox: &Receiver<T>, most: usize, longest: Duration) -> Option<Vec<T>> {
    let mut all = vec![inbox.recv().ok()?];
    let since = Instant::now();
    while all.len() < most {
        match inbox.recv_timeout(longest.saturating_sub(since.elapsed())) {
            Ok(one) => all.push(one),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{NewFile, Temporary};
    use crate::record::{Outcome, Record};

    fn made(folder: &Path, name: &str, ours: bool) -> StagedOutput {
        let beside = |what| folder.join(format!("{name}.{what}"));
        let (file, residue, place) = (beside("new"), beside("way"), folder.join("out").join(name));
        fs::write(&file, name).unwrap();
        fs::write(&residue, "way").unwrap();
        let record =
            Record { outcome: Outcome::Converted, destination: Some(place.clone()), ..Record::blank(name.into(), 1) };
        let way = RestoreFile::Residue(Temporary(residue), folder.join("residue").join(name));
        let file = NewFile::Kept(Temporary(file));
        let placing =
            Some(StagedFile { source: name.into(), file, place, ours, residue: way, entry: None, there: false });
        StagedOutput { done: Done { record, notice: None, full: false }, staged: placing }
    }

    #[test]
    fn what_fails_leaves_nothing_and_the_others_have_their_places() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out, residues) = (folder.path(), folder.path().join("out"), folder.path().join("residue"));
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(&residues).unwrap();
        for (name, holds) in [("taken", "another's"), ("same", "same"), ("ours", "old")] {
            fs::write(out.join(name), holds).unwrap();
        }
        let mut publisher = Publisher::new(&out, Some(&residues), None);
        let all = ["new", "taken", "same", "ours"].map(|name| made(root, name, name == "ours"));
        let mut gone = made(root, "gone", false);
        fs::remove_file(root.join("gone.new")).unwrap();
        gone = gone.begin();
        let done = publisher.publish(all.into_iter().chain([gone]).collect());

        let outcomes: Vec<_> = done.iter().map(|done| done.record.outcome).collect();
        use Outcome::{Converted, Failed};
        assert_eq!(outcomes, [Converted, Failed, Converted, Converted, Failed]);
        assert!(done[1].notice.as_ref().unwrap().reason.contains("was not written by an earlier run"));
        assert!(done[1].record.destination.is_none() && done[4].record.destination.is_none());
        let holds = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).ok();
        for (name, file, residue) in [
            ("new", Some("new"), true),
            ("taken", Some("another's"), false),
            ("same", Some("same"), true),
            ("ours", Some("ours"), true),
            ("gone", None, false),
        ] {
            assert_eq!(holds(&out, name).as_deref(), file, "{name}");
            assert_eq!(holds(&residues, name).is_some(), residue, "{name}");
        }
        // Nothing is left of the making.
        drop(done);
        assert_eq!(fs::read_dir(root).unwrap().count(), 2);
    }
}
