//! Where an archive keeps its objects: in its own folder, or at an address. Which of them is written down there.
//!
//! It is written once, by whoever opens the archive first, before the first object. Every command that opens it later finds the objects
//! without being told again, and none can begin a second store, by forgetting to say it or by saying it too late.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::s3::{Access, Address, S3, Unusable};
use super::{Disk, Near, Objects};
use crate::written;

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
        let place = match written::read(dir, WRITTEN)
            .map_err(of(&dir.join(WRITTEN)))?
            .as_deref()
            .map(Place::parse)
            .transpose()?
        {
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
        let first = written::write(dir, WRITTEN, &place.to_string()).map_err(of(&dir.join(WRITTEN)))?;
        match Place::parse(&first)? {
            first if first == place => Ok(objects),
            // Somebody else opened it meanwhile, for the first time too.
            first => Err(Unusable::Elsewhere(first.to_string(), place.to_string())),
        }
    }

    /// Where the archive in this folder has its objects, if not in the folder itself.
    pub fn written(dir: &Path) -> io::Result<Option<String>> {
        Ok(written::read(dir, WRITTEN)?.filter(|text| text != OWN))
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

fn parse(text: &str) -> Result<Address, Unusable> {
    Address::parse(text).ok_or_else(|| Unusable::Address(text.chars().take(200).collect()))
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
        assert_eq!(written::write(dir.path(), WRITTEN, &one.to_string()).unwrap(), "s3://one/a");
        assert_eq!(written::write(dir.path(), WRITTEN, OWN).unwrap(), "s3://one/a", "who is first is first");
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
        assert_eq!(written::read(new.path(), WRITTEN).unwrap().as_deref(), Some("objects"));
        assert_eq!(Keeping::written(new.path()).unwrap(), None);
        assert!(refused(&at("s3://one/a"), new.path()).ends_with("objects, not at s3://one/a"));
        own.open(new.path(), true).unwrap();
        // Of an earlier version, whose objects are gone: the index knows of them.
        let old = tempfile::tempdir().unwrap();
        let error = at("s3://one/a").open(old.path(), true).err().unwrap().to_string();
        assert!(error.ends_with("objects, not at s3://one/a"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refused(&at("s3:/bucket"), dir.path()).contains("is no address of objects"));
        fs::write(dir.path().join(WRITTEN), "nonsense").unwrap();
        assert!(refused(&Keeping::default(), dir.path()).contains("\"nonsense\" is no address"));
    }
}
