//! Steps that reach the storage. A test lets a run die at any of them: that step fails, and so do all that follow.

use std::io;

#[cfg(not(test))]
pub(crate) fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use tests::step;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Head;
    use crate::proofs::{Proofs, Proving, hex, ledger};
    use crate::publisher::Publisher;
    use crate::record::{Outcome, Record};
    use crate::worker::{History, Item, Settings, Target, Worker, residue_path};
    use sha2::{Digest, Sha256};
    use std::cell::Cell;
    use std::fs;
    use std::path::{Path, PathBuf};
    use transcode::Policy;

    thread_local! {
        /// Steps that are left to this thread.
        static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    pub(crate) fn step() -> io::Result<()> {
        match LEFT.get() {
            0 => Err(io::Error::other("dead")),
            u32::MAX => Ok(()),
            left => {
                LEFT.set(left - 1);
                Ok(())
            }
        }
    }

    struct Nothing;

    impl History for Nothing {
        fn done(&self, _: &Path) -> Option<Record> {
            None
        }

        fn is_empty(&self) -> bool {
            false
        }
    }

    const NAMES: [&str; 4] = ["image.dcm", "text.dcm", "folder/cut.dcm", "notes.txt"];

    /// An image to be converted, a report without pixels, one that ends within its header, and what is not DICOM.
    fn sources(folder: &Path) {
        let image = testkit::image();
        let pixels = image.len() - 512 - 12;
        fs::create_dir(folder.join("folder")).unwrap();
        for (name, bytes) in NAMES.iter().zip([&image[..], &image[..pixels], &image[..180], b"nothing but words"]) {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }

    fn run(source: &Path, out: &Path, layout: fn(&str) -> Target) -> io::Result<Vec<Record>> {
        let (state, policy) = (out.join(crate::STATE_DIR), Policy::shipped("htj2k-all").unwrap());
        let (scratch, residues) = (state.join("tmp"), state.join("residue"));
        fs::create_dir_all(&scratch)?;
        let proofs = Proofs::open(&state, Proving::default())?;
        let set = Settings {
            policy: &policy,
            destination: out,
            known: &Nothing,
            scratch: &scratch,
            residues: Some(&residues),
            proofs: Some(&proofs),
            dry_run: false,
            deidentify: None,
        };
        let mut worker = Worker::new(set, 0);
        let items = NAMES.map(|name| Item {
            source: source.join(name),
            copy: None,
            target: layout(name),
            bytes: 0,
            listed: false,
        });
        let made = items.iter().map(|item| worker.make(item)).collect();
        let done = Publisher::new(out, Some(&residues), Some(&proofs)).publish(made);
        Ok(done.into_iter().map(|done| done.record).collect())
    }

    fn placed(out: &Path) -> Vec<PathBuf> {
        let (mut found, mut waiting) = (Vec::new(), vec![out.to_owned()]);
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                match path.is_dir() {
                    true if entry.file_name() == crate::STATE_DIR => {}
                    true => waiting.push(path),
                    false => found.push(path.strip_prefix(out).unwrap().to_owned()),
                }
            }
        }
        found.sort();
        found
    }

    fn hash(path: &Path) -> String {
        hex(&Sha256::digest(fs::read(path).unwrap()))
    }

    #[test]
    fn a_run_that_dies_at_any_step_leaves_no_file_without_evidence_and_the_next_one_ends_it() {
        let source = tempfile::tempdir().unwrap();
        sources(source.path());
        let (mut died, mut withdrawn) = (0, 0);
        for layout in [|name: &str| Target::Mirror(name.into()), |_: &str| Target::Study] as [fn(&str) -> Target; 2] {
            for steps in 0.. {
                let folder = tempfile::tempdir().unwrap();
                let out = folder.path().join("out");
                fs::create_dir(&out).unwrap();
                LEFT.set(steps);
                let first = run(source.path(), &out, layout);
                let dead = LEFT.replace(u32::MAX) == 0;
                died += u32::from(dead);
                let state = out.join(crate::STATE_DIR);
                let said = ledger(&state).unwrap();
                assert!(said.troubles.is_empty(), "{steps}: {:?}", said.troubles);
                for file in placed(&out) {
                    let held = said.files.get(&file).unwrap_or_else(|| panic!("{steps}: {file:?} has no evidence"));
                    assert_eq!(hex(&held.sha256), hash(&out.join(&file)), "{steps}: {file:?}");
                }
                let lines = Head::of(&state.join("evidence.jsonl")).map_or(0, |head| head.lines);

                let done = run(source.path(), &out, layout).unwrap();
                let outcomes: Vec<_> = done.iter().map(|record| record.outcome).collect();
                use Outcome::{Converted, Kept, Skipped, Unreadable};
                assert_eq!(outcomes, [Converted, Kept, Unreadable, Skipped], "{steps}");
                let said = ledger(&state).unwrap();
                assert!(said.troubles.is_empty() && said.files.values().all(|held| !held.pending), "{steps}");
                assert_eq!(said.files.keys().cloned().collect::<Vec<_>>(), placed(&out), "{steps}");
                for (file, held) in &said.files {
                    assert_eq!(hex(&held.sha256), hash(&out.join(file)), "{steps}: {file:?}");
                    let residue = residue_path(&state.join("residue"), file);
                    let found = fs::read(&residue).ok().map(|bytes| (bytes.len() as u64, Sha256::digest(bytes).into()));
                    assert_eq!(held.residue, found, "{steps}: {file:?}");
                }
                let unreadable = done[2].destination.as_ref().unwrap();
                assert_eq!(fs::read(unreadable).unwrap(), fs::read(source.path().join(NAMES[2])).unwrap());
                withdrawn += u32::from(Head::of(&state.join("evidence.jsonl")).unwrap().lines > lines + 3);
                if !dead {
                    assert_eq!(first.unwrap().len(), 4);
                    break;
                }
            }
        }
        assert!(died >= 20 && withdrawn >= 2, "{died} deaths, something taken back after {withdrawn}");
    }
}
