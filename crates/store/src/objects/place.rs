//! Where an archive keeps its objects: in its own folder, or at an address. Which of them is written down there.
//!
//! It is written once, by whoever opens the archive first, before the first object. Every command that opens it later finds the objects
//! without being told again, and none can begin a second store, by forgetting to say it or by saying it too late.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::s3::{Access, Address, S3, Unusable};
use super::{Disk, Near, Objects};
use crate::sync_folder;

/// The file that says it.
const WRITTEN: &str = "objects-at";
/// The folder of the archive that has them, and what is written down then.
const OWN: &str = "objects";

/// How the objects of an archive are kept.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// The address told by the user, `s3://bucket/prefix`; without it, what the archive has written down, or its own folder.
    pub at: Option<String>,
    /// The folder of the cache; without it, one in the archive.
    pub cache: Option<PathBuf>,
    /// Bytes that the cache on disk may hold; 10 GiB without.
    pub cache_bytes: Option<u64>,
    /// Files kept open, of objects on a local disk.
    pub open_files: usize,
}

impl Keeping {
    /// Opens the objects of the archive in this folder. `lists`: its index lists some already, so that a place is taken even if none
    /// is written down, as versions before did not.
    pub fn open(&self, dir: &Path, lists: bool) -> Result<Box<dyn Objects>, Unusable> {
        let folder = dir.join(OWN);
        let of = |path: &Path| {
            let path = path.to_owned();
            move |error| Unusable::Folder(path, error)
        };
        let wanted = self.at.as_deref().map(parse).transpose()?;
        let place = match read(dir).map_err(of(&dir.join(WRITTEN)))?.as_deref().map(Place::parse).transpose()? {
            Some(written) => written,
            None if lists || !is_empty(&folder).map_err(of(&folder))? => Place::Own,
            None => wanted.clone().map_or(Place::Own, Place::At),
        };
        let elsewhere = |place: &Place, wanted: &Address| {
            let place = if *place == Place::Own { folder.display().to_string() } else { place.to_string() };
            Unusable::Elsewhere(place, wanted.to_string())
        };
        if let Some(wanted) = wanted.filter(|wanted| !place.is_at(wanted)) {
            return Err(elsewhere(&place, &wanted));
        }
        // A store that can't be used is none: its address is not written down.
        let objects: Box<dyn Objects> = match &place {
            Place::Own => Box::new(Disk::open(&folder, self.open_files).map_err(of(&folder))?),
            Place::At(address) => Box::new(self.far(dir, address)?),
        };
        let first = write(dir, &place).map_err(of(&dir.join(WRITTEN)))?;
        match Place::parse(&first)? {
            first if first == place => Ok(objects),
            // Somebody else opened it meanwhile, for the first time too.
            first => Err(Unusable::Elsewhere(first.to_string(), place.to_string())),
        }
    }

    /// Where the archive in this folder has its objects, if not in the folder itself.
    pub fn written(dir: &Path) -> io::Result<Option<String>> {
        Ok(read(dir)?.filter(|text| text != OWN))
    }

    fn far(&self, dir: &Path, address: &Address) -> Result<S3, Unusable> {
        let usual = Near::default();
        let folder = self.cache.clone().unwrap_or_else(|| dir.join("cache"));
        let near = Near { folder: Some(folder), disk: self.cache_bytes.unwrap_or(usual.disk), ..usual };
        S3::open(address, &Access::from_env(), &near)
    }
}

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Own,
    At(Address),
}

impl Place {
    fn parse(text: &str) -> Result<Place, Unusable> {
        if text == OWN { Ok(Place::Own) } else { parse(text).map(Place::At) }
    }

    fn is_at(&self, address: &Address) -> bool {
        matches!(self, Place::At(at) if at == address)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Own => f.write_str(OWN),
            Place::At(address) => address.fmt(f),
        }
    }
}

fn read(dir: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(dir.join(WRITTEN)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(text?.trim().to_owned())),
    }
}

fn parse(text: &str) -> Result<Address, Unusable> {
    Address::parse(text).ok_or_else(|| Unusable::Address(text.chars().take(200).collect()))
}

/// Writes the place down, unless one is; returns the one that is then.
fn write(dir: &Path, place: &Place) -> io::Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if let Some(written) = read(dir)? {
        return Ok(written);
    }
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let making = dir.join(format!("{WRITTEN}.{}-{next}", std::process::id()));
    let mut file = File::create(&making)?;
    writeln!(file, "{place}")?;
    file.sync_all()?;
    let path = dir.join(WRITTEN);
    // It has its name once it is whole, and only if nobody was first. A file system without links has no such thing.
    match fs::hard_link(&making, &path) {
        Err(_) if !path.exists() => fs::rename(&making, &path)?,
        _ => fs::remove_file(&making)?,
    }
    sync_folder(dir)?;
    Ok(read(dir)?.unwrap_or_default())
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        entries => Ok(entries?.next().is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Keeping {
        Keeping { at: Some(address.to_owned()), open_files: 4, ..Keeping::default() }
    }

    fn refused(keeping: &Keeping, dir: &Path) -> String {
        keeping.open(dir, false).err().unwrap().to_string()
    }

    #[test]
    fn objects_stay_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let one = Place::At(Address::parse("s3://one/a").unwrap());
        assert_eq!(write(dir.path(), &one).unwrap(), "s3://one/a");
        assert_eq!(write(dir.path(), &Place::Own).unwrap(), "s3://one/a", "who is first is first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(Keeping::written(dir.path()).unwrap().as_deref(), Some("s3://one/a"));
        assert_eq!(refused(&at("s3://two/a"), dir.path()), "its objects are at s3://one/a, not at s3://two/a");
        let local = tempfile::tempdir().unwrap();
        fs::create_dir_all(local.path().join("objects/00")).unwrap();
        assert!(refused(&at("s3://one/a"), local.path()).ends_with("objects, not at s3://one/a"));
        assert_eq!(Keeping::written(local.path()).unwrap(), None);
        Keeping { open_files: 4, ..Keeping::default() }.open(local.path(), false).unwrap();
    }

    #[test]
    fn the_own_folder_is_a_place_too_even_while_it_is_empty() {
        let (new, own) = (tempfile::tempdir().unwrap(), Keeping { open_files: 4, ..Keeping::default() });
        own.open(new.path(), false).unwrap();
        assert_eq!(read(new.path()).unwrap().as_deref(), Some("objects"));
        assert_eq!(Keeping::written(new.path()).unwrap(), None);
        assert!(refused(&at("s3://one/a"), new.path()).ends_with("objects, not at s3://one/a"));
        own.open(new.path(), true).unwrap();
        // Of an earlier version, whose objects are gone: the index knows of them.
        let old = tempfile::tempdir().unwrap();
        let error = at("s3://one/a").open(old.path(), true).err().unwrap().to_string();
        assert!(error.ends_with("objects, not at s3://one/a"), "{error}");
    }

    #[test]
    fn of_many_that_are_first_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let place = |n: usize| Place::At(Address::parse(&format!("s3://bucket/{n}")).unwrap());
        let written: Vec<String> = std::thread::scope(|scope| {
            let going: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let dir = dir.path();
                        move || write(dir, &place(n)).unwrap()
                    })
                })
                .collect();
            going.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(written.iter().all(|one| *one == written[0] && one.starts_with("s3://bucket/")), "{written:?}");
    }

    #[test]
    fn what_is_no_address_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refused(&at("s3:/bucket"), dir.path()).contains("is no address of objects"));
        fs::write(dir.path().join(WRITTEN), "nonsense").unwrap();
        assert!(refused(&Keeping::default(), dir.path()).contains("\"nonsense\" is no address"));
    }
}
