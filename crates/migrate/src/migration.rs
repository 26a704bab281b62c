//! A migration from its opening to its end: census, plan, run.

use crate::apart;
use crate::error::{Error, Usage};
use crate::estimate::{Plan, Sampler};
use crate::item_worker::Destination;
use crate::journal::{Counts, Journal, Order};
use crate::run::{self, Ending};
use crate::source::{Fetch, Indexes, Origin, Scan, ScanEvent, Server};
use crate::standing::{Ended, Telling};
use crate::throttle::Limits;
use ::deidentify::Deidentifier;
use archive::Archive;
use files::{Proofs, Proving};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use transcode::Policy;

/// How files of a folder tree are named; an archive names its objects itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// As in the source.
    Mirror,
    /// By study and series, under generated names.
    Study,
}

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    /// Folders, DICOMDIRs, packed files, or addresses of DICOMweb servers; none for the backlog of an archive.
    pub sources: Vec<PathBuf>,
    /// A folder tree, or the folder of an archive.
    pub destination: PathBuf,
    /// Make an archive where there is none.
    pub archive: bool,
    /// Where an archive keeps its objects.
    pub objects: archive::Keeping,
    /// Where the index of a new archive is.
    pub index: archive::IndexKeeping,
    /// Names of files in a folder tree.
    pub layout: Option<Layout>,
    /// Says what becomes of an instance.
    pub policy: Policy,
    /// Convert; without it, an archive only stores.
    pub convert: bool,
    /// What comes first.
    pub order: Order,
    /// What it may take.
    pub limits: Limits,
    /// Keep what leads back to the very files that came in.
    pub way_back: bool,
    /// Headers for servers.
    pub headers: Vec<(String, String)>,
    /// Walk the sources once more, and do again what can't be read, is under another policy, or may mend an archive.
    pub rescan: bool,
    /// Time for samples.
    pub sample: Duration,
    /// How what is written is proven.
    pub proving: Proving,
    /// Takes the identity out first; only into a folder tree in the layout of studies.
    pub deidentify: Option<Deidentified>,
}

/// How the identity is taken out, and where what names the sources is kept meanwhile: not in the destination.
#[derive(Debug)]
pub struct Deidentified {
    /// Takes it out.
    pub by: Deidentifier,
    /// Holds the journal and the copies that are made of sources; beside the key.
    pub folder: PathBuf,
}

/// An open migration; nobody else can have it open.
pub struct Migration {
    options: Options,
    root: PathBuf,
    destination: Destination,
    origins: Vec<(i64, Origin)>,
    servers: Vec<Server>,
    scratch: PathBuf,
    spool: PathBuf,
    told: Telling,
    journal: Journal,
}

impl Migration {
    /// Opens or begins a migration. Nothing is written but its journal.
    pub fn open(options: Options) -> Result<Migration, Error> {
        let root = std::path::absolute(&options.destination).map_err(Error::io("use", &options.destination))?;
        if root.exists() && !root.is_dir() {
            return Err(Usage::NotAFolder(root).into());
        }
        let origins = origins(&options, &root)?;
        apart::check_destination(&root)?;
        let destination = destination(&options, &root)?;
        if matches!(destination, Destination::Tree) && origins.iter().any(Option::is_none) {
            return Err(Usage::NoSource(root).into());
        }
        let name = name(&options);
        let beside = Journal::folder(&root);
        let kept = options.deidentify.as_ref().map_or(&*beside, |identity| &*identity.folder);
        let mut journal = Journal::open_in(kept, &root, name, options.order)?;
        let changed = check_policy(&journal, &options)?;
        check_layout(&mut journal, &options)?;
        // What the scrubber found damaged, the originals mend.
        let mend = match &destination {
            Destination::Archive { archive, .. } => !archive.faults()?.is_empty(),
            Destination::Tree => false,
        };
        let mut numbered = Vec::new();
        for origin in origins {
            let origin = match (origin, &destination) {
                (None, Destination::Archive { archive, .. }) => {
                    Origin::Backlog(archive.clone(), options.policy.clone())
                }
                (Some(origin), _) => origin,
                (None, Destination::Tree) => continue,
            };
            let (source, walked) = journal.source(&origin.name())?;
            let done = walked && journal.counts(&[source])?.waiting.0 == 0;
            if options.rescan || done {
                journal.again(source, options.rescan && (changed || mend))?;
            }
            numbered.push((source, origin));
        }
        let servers = numbered.iter().filter_map(|(_, origin)| match origin {
            Origin::Web(server) => Some(server.clone()),
            _ => None,
        });
        let servers = servers.collect();
        let (scratch, spool) = (beside.join(format!("{name}-tmp")), kept.join(format!("{name}-tmp")));
        clear(&scratch)?;
        clear(&spool)?;
        journal.retry_failed(&numbered.iter().map(|(source, _)| *source).collect::<Vec<_>>())?;
        let told = Telling::begin(&root, name, options.convert)?;
        Ok(Migration { options, root, destination, origins: numbered, servers, scratch, spool, told, journal })
    }

    /// The destination, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of temporary files.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Folders of temporary files.
    pub fn temporary(&self) -> Vec<PathBuf> {
        vec![self.scratch.clone(), self.spool.clone()]
    }

    /// How it ended, for whoever asks later.
    pub fn ended(&mut self, ending: Ended) -> Result<(), Error> {
        let counts = self.counts()?;
        self.told.end(ending, counts);
        Ok(())
    }

    /// The destination is an archive.
    pub fn is_archive(&self) -> bool {
        matches!(self.destination, Destination::Archive { .. })
    }

    /// Walks what has not been walked to its end.
    pub fn scan(&mut self, stop: &AtomicBool, told: &mut dyn FnMut(ScanEvent)) -> Result<(), Error> {
        let mirror = !self.is_archive() && self.options.layout != Some(Layout::Study);
        let outside = self.root.canonicalize().ok();
        let mut clash = None;
        let (of, mut found) = (&mut self.told, 0);
        for (source, origin) in &self.origins {
            let (_, walked) = self.journal.source(&origin.name())?;
            if walked {
                continue;
            }
            let mut hear = |walked| match walked {
                ScanEvent::Collision(found) => drop(clash.get_or_insert(found)),
                other => {
                    if let ScanEvent::Found(more) = other {
                        found += more;
                        of.scanned(found);
                    }
                    told(other);
                }
            };
            let mut scan = Scan {
                journal: &mut self.journal,
                source: *source,
                mirror: mirror && !matches!(origin, Origin::Web(_)),
                outside: outside.clone(),
                heads: true,
                jobs: self.options.limits.jobs,
                stop,
                indexes: Indexes::default(),
                told: &mut hear,
            };
            scan.take(origin)?;
        }
        match clash {
            None => Ok(()),
            Some(clash) => {
                self.origins.iter().try_for_each(|(source, _)| self.journal.again(*source, false))?;
                Err(clash.below(&self.root).into())
            }
        }
    }

    /// Converts a sample to nowhere and reckons what lies ahead.
    pub fn plan(&mut self, stop: &AtomicBool) -> Result<Plan, Error> {
        let sources = self.sources();
        self.told.planning();
        if self.options.convert {
            let sampler = Sampler {
                policy: &self.options.policy,
                deidentify: self.options.deidentify.as_ref().map(|identity| &identity.by),
                way_back: self.options.way_back,
                destination: &self.destination,
                scratch: &self.scratch,
                time: self.options.sample,
                stop,
            };
            let mut fetch = Fetch::new(&self.spool, &self.servers, stop, usize::MAX);
            sampler.run(&self.journal, &sources, &mut fetch)?;
        }
        Ok(Plan::of(self.journal.classes(&sources)?))
    }

    /// What the journal counts.
    pub fn counts(&self) -> Result<Counts, Error> {
        self.journal.counts(&self.sources())
    }

    /// Does what waits.
    pub fn run(&mut self, stop: &AtomicBool, told: &mut dyn FnMut(run::News)) -> Result<Ending, Error> {
        let sources = self.sources();
        let roots = self.origins.iter().filter_map(|(_, origin)| match origin {
            Origin::Path(path) => Some(path.clone()),
            _ => None,
        });
        let roots = roots.collect();
        let converter = match &self.destination {
            Destination::Archive { archive, convert: true } => Some(archive.converter(&self.options.policy)?),
            _ => None,
        };
        let residues = Journal::folder(&self.root).join("residue");
        let folder = Journal::folder(&self.root);
        let proofs = match &self.destination {
            Destination::Tree => {
                Some(Proofs::open(&folder, self.options.proving).map_err(Error::io("open the evidence in", &folder))?)
            }
            _ => None,
        };
        let shared = crate::item_worker::Shared {
            policy: &self.options.policy,
            root: &self.root,
            destination: &self.destination,
            converter: converter.as_ref(),
            scratch: &self.scratch,
            spool: &self.spool,
            deidentify: self.options.deidentify.as_ref().map(|identity| &identity.by),
            residues: (self.options.way_back && self.options.deidentify.is_none()).then_some(&*residues),
            proofs: proofs.as_ref(),
            servers: &self.servers,
            stop,
        };
        let set = run::Settings { sources, roots, name: name(&self.options), limits: self.options.limits, shared };
        self.journal.renew_indexes(&set.sources)?;
        let of = &mut self.told;
        let ending = run::run(&mut self.journal, set, &mut |news| {
            if let run::News::Look(snapshot) = &news {
                of.look(snapshot);
            }
            told(news);
        });
        if let Some(converter) = converter {
            converter.finish()?;
        }
        ending
    }

    fn sources(&self) -> Vec<i64> {
        self.origins.iter().map(|(source, _)| *source).collect()
    }
}

impl Drop for Migration {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
        let _ = fs::remove_dir_all(&self.spool);
    }
}

fn name(options: &Options) -> &'static str {
    if options.convert { "migration" } else { "import" }
}

/// The sources; `None` is the backlog of the destination.
fn origins(options: &Options, root: &Path) -> Result<Vec<Option<Origin>>, Error> {
    if options.sources.is_empty() {
        return Ok(vec![None]);
    }
    let of = |path: &PathBuf| {
        let origin = Origin::of(path, &options.headers)?;
        let Origin::Path(path) = &origin else { return Ok(Some(origin)) };
        fs::metadata(path).map_err(Error::io("read", path))?;
        let same = path.canonicalize().ok() == root.canonicalize().ok();
        match (is_archive(path), same) {
            (true, true) => return Ok(None),
            (false, _) => {
                apart::check(std::slice::from_ref(path), root)?;
                return Ok(Some(origin));
            }
            (true, false) => {}
        }
        Err(Usage::ArchiveAsSource(path.clone()).into())
    };
    options.sources.iter().map(of).collect()
}

/// Is the folder that of an archive?
pub fn is_archive(folder: &Path) -> bool {
    archive::is_there(folder)
}

fn destination(options: &Options, root: &Path) -> Result<Destination, Error> {
    if !options.archive && !is_archive(root) {
        return Ok(Destination::Tree);
    }
    if options.layout.is_some() {
        return Err(Usage::LayoutOfArchive(root.to_owned()).into());
    }
    if options.deidentify.is_some() {
        return Err(Usage::DeidentifyIntoArchive(root.to_owned()).into());
    }
    let Proving { sampling, quarantine } = options.proving;
    let (index, objects) = (options.index.clone(), options.objects.clone());
    let how = archive::Options { index, objects, sampling, quarantine, ..archive::Options::default() };
    let archive = Archive::open(root, how)?;
    Ok(Destination::Archive { archive, convert: options.convert })
}

/// Does the journal belong to another policy? Only with a new walk may it change.
fn check_policy(journal: &Journal, options: &Options) -> Result<bool, Error> {
    if !options.convert {
        return Ok(false);
    }
    let profile = options.deidentify.as_ref().map(|identity| identity.by.fingerprint()).unwrap_or_default();
    let hash = options.policy.hash() + &profile;
    let before = journal.word("policy")?;
    let changed = before.as_ref().is_some_and(|before| *before != hash);
    if changed && !options.rescan {
        return Err(match options.deidentify {
            None => Usage::OtherPolicy.into(),
            Some(_) => Usage::OtherProfile.into(),
        });
    }
    journal.remember("policy", &hash)?;
    Ok(changed)
}

/// Places are settled by the walk: with files in their places, they stay.
fn check_layout(journal: &mut Journal, options: &Options) -> Result<(), Error> {
    let layout = format!("{:?}", options.layout.unwrap_or(Layout::Mirror));
    if journal.word("layout")?.is_some_and(|before| before != layout) {
        if journal.counts(&[])?.done() > 0 {
            return Err(Usage::OtherLayout.into());
        }
        journal.restart()?;
    }
    journal.remember("layout", &layout)
}

/// Makes an empty folder of temporary files.
fn clear(scratch: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(scratch) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io("prepare", scratch)(e)),
        _ => {}
    }
    fs::create_dir_all(scratch).map_err(Error::io("prepare", scratch))
}
