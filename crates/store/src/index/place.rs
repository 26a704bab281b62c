//! Where an archive has its index: in its own folder, or in a database. The address of a database is written down there.
//!
//! It is written once, by whoever opens the archive first. Every command that opens it later finds the index without being told again, and
//! none can begin a second one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::postgres::{Access, Address, Postgres, Unusable};
use crate::objects::place as objects;
use crate::{sync_folder, written};

/// The index that is in the archive's folder.
const OWN: &str = "index.sqlite";
/// The file that says where it is, if elsewhere.
const WRITTEN: &str = "index-at";
/// The file that names the folder of objects, for an index that many nodes have open.
const NAMED: &str = "objects-id";
/// The index of an archive that is being moved here, until all of it is there.
const ARRIVING: &str = "index.moving";
/// The file that says which archive is being moved here, and the one that says which was.
const MOVING: &str = "moving";
const MOVED: &str = "moved";

/// How the index of an archive is kept.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// The address told by the user, `postgres://user@host/database`; without it, what the archive has written down, or its own folder.
    pub at: Option<String>,
}

/// Where an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this file.
    Own(PathBuf),
    /// In a database.
    At(Box<Address>),
}

impl Keeping {
    /// Is what the user told an address, with no password in it?
    pub fn check(&self) -> Result<(), Unusable> {
        self.at.as_deref().map_or(Ok(()), |at| at.parse::<Address>().map(drop))
    }

    /// Where the archive in this folder has its index, or will have it.
    pub fn place(&self, dir: &Path) -> Result<Place, Unusable> {
        if let Some(from) = moving(dir).map_err(of(dir))? {
            return Err(Unusable::Moving(dir.display().to_string(), from));
        }
        let own = dir.join(OWN);
        let wanted = self.at.as_deref().map(str::parse::<Address>).transpose()?;
        let written = written::read(dir, WRITTEN).map_err(of(dir))?.map(|text| text.parse::<Address>()).transpose()?;
        let place = match (written, &wanted) {
            (Some(written), _) => Place::At(Box::new(written)),
            (None, Some(wanted)) if !own.is_file() => Place::At(Box::new(wanted.clone())),
            (None, _) => Place::Own(own.clone()),
        };
        match (&place, wanted) {
            (Place::At(at), Some(wanted)) if **at != wanted => {
                Err(Unusable::Elsewhere(at.to_string(), wanted.to_string()))
            }
            (Place::Own(_), Some(wanted)) => Err(Unusable::Elsewhere(own.display().to_string(), wanted.to_string())),
            _ => Ok(place),
        }
    }
}

/// Opens the index in a database for the archive in this folder, and has it written down. At most `readers` read at once.
pub fn open(dir: &Path, address: &Address, readers: usize) -> Result<Postgres, Unusable> {
    let index = open_any(address, readers)?;
    if let Some(from) = index.is_being_copied()? {
        return Err(Unusable::Moving(address.to_string(), from));
    }
    // A database that can't be used is none: its address is not written down.
    let first = written::write(dir, WRITTEN, &address.to_string()).map_err(of(dir))?;
    if first.parse::<Address>()? == *address {
        return Ok(index);
    }
    // Somebody else opened it meanwhile, for the first time too.
    Err(Unusable::Elsewhere(first, address.to_string()))
}

/// Opens the index in a database, whatever is in it.
pub fn open_any(address: &Address, readers: usize) -> Result<Postgres, Unusable> {
    Postgres::open(address, &Access::from_env()?, readers)
}

/// Which archive is being moved into this folder.
pub fn moving(dir: &Path) -> io::Result<Option<String>> {
    written::read(dir, MOVING)
}

/// Which archive was moved into this folder.
pub fn moved(dir: &Path) -> io::Result<Option<String>> {
    written::read(dir, MOVED)
}

/// Writes down that this archive is being moved into this folder: nobody opens it until it is there. Returns which one is.
pub fn begin_move(dir: &Path, from: &str) -> io::Result<String> {
    written::write(dir, MOVING, from)
}

/// The file of an index that is being moved into this folder.
pub fn arriving(dir: &Path) -> PathBuf {
    dir.join(ARRIVING)
}

/// The archive has been moved into this folder, its index to this address, or into the folder: gives it its name. May be done again.
pub fn end_move(dir: &Path, address: Option<&Address>, from: &str) -> io::Result<()> {
    match address {
        Some(address) => drop(written::write(dir, WRITTEN, &address.to_string())?),
        None if !dir.join(OWN).is_file() => {
            fs::rename(arriving(dir), dir.join(OWN))?;
            sync_folder(dir)?;
        }
        None => {}
    }
    written::write(dir, MOVED, from)?;
    fs::remove_file(dir.join(MOVING))?;
    sync_folder(dir)
}

/// How the objects of this index are opened by the archive in this folder: where the index knows them to be.
pub fn objects_of(index: &Postgres, keeping: &objects::Keeping) -> Result<objects::Keeping, Unusable> {
    let mut keeping = keeping.clone();
    if keeping.at.is_none() {
        keeping.at = index.objects_at()?.filter(|at| at.contains("://"));
    }
    Ok(keeping)
}

/// Has the index remember where the objects are that this archive has opened; an error when it knows of others.
pub fn settle_objects(index: &Postgres, dir: &Path) -> Result<(), Unusable> {
    match objects::Keeping::written(dir).map_err(of(dir))? {
        Some(at) => index.settle_objects(&at),
        None => {
            let name = written::write(dir, NAMED, &random(dir)?).map_err(of(dir))?;
            index.settle_objects(&format!("the folder with the {NAMED} {name}"))
        }
    }
}

/// Does this folder hold an archive?
pub fn is_there(dir: &Path) -> bool {
    [OWN, WRITTEN, MOVING].iter().any(|name| dir.join(name).is_file())
}

/// Where the archive in this folder has its index, in words: a file, or an address.
pub fn written(dir: &Path) -> PathBuf {
    written::read(dir, WRITTEN).ok().flatten().map_or_else(|| dir.join(OWN), PathBuf::from)
}

fn random(dir: &Path) -> Result<String, Unusable> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| of(dir)(io::Error::other(error)))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn of(dir: &Path) -> impl FnOnce(io::Error) -> Unusable {
    let path = dir.to_owned();
    move |error| Unusable::Folder(path, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Keeping {
        Keeping { at: Some(address.to_owned()) }
    }

    #[test]
    fn an_index_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = ("postgres://ann@h/one", "postgres://ann@h/two");
        let is_one = |place: Place| matches!(place, Place::At(address) if address.to_string() == one);
        assert!(!is_there(dir.path()));
        assert!(is_one(at(one).place(dir.path()).unwrap()));
        written::write(dir.path(), WRITTEN, one).unwrap();
        assert!(is_there(dir.path()));
        assert!(is_one(Keeping::default().place(dir.path()).unwrap()) && is_one(at(one).place(dir.path()).unwrap()));
        let error = at(two).place(dir.path()).unwrap_err().to_string();
        assert_eq!(error, format!("its index is at {one}, not at {two}"));
        assert_eq!(written(dir.path()), Path::new(one));
    }

    #[test]
    fn nobody_opens_what_has_not_arrived() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(begin_move(dir.path(), "old").unwrap(), "old");
        assert_eq!(begin_move(dir.path(), "another").unwrap(), "old");
        assert!(is_there(dir.path()));
        assert!(matches!(Keeping::default().place(dir.path()), Err(Unusable::Moving(_, from)) if from == "old"));
        fs::write(arriving(dir.path()), "rows").unwrap();
        end_move(dir.path(), None, "old").unwrap();
        assert!(matches!(Keeping::default().place(dir.path()), Ok(Place::Own(_))) && !arriving(dir.path()).exists());
        // Killed between the last two steps.
        begin_move(dir.path(), "old").unwrap();
        end_move(dir.path(), None, "old").unwrap();
        assert_eq!((moving(dir.path()).unwrap(), moved(dir.path()).unwrap().as_deref()), (None, Some("old")));
        assert_eq!(fs::read(dir.path().join(OWN)).unwrap(), b"rows");
    }

    #[test]
    fn one_in_the_folder_is_not_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(OWN), "").unwrap();
        assert!(is_there(dir.path()));
        assert!(matches!(Keeping::default().place(dir.path()), Ok(Place::Own(_))));
        let error = at("postgres://ann@h/one").place(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("index.sqlite, not at postgres://ann@h/one"), "{error}");
    }
}
