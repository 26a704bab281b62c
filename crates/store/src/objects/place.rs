//! Where an archive keeps its objects: in its own folder, or at an address that is written down there.
//!
//! Once objects are at an address, every command that opens the archive finds them there without being told again, and none can begin a
//! second store by forgetting to say it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::s3::{Access, Address, S3, Unusable};
use super::{Disk, Near, Objects};
use crate::sync_folder;

/// The file that has the address.
const WRITTEN: &str = "objects-at";

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
    /// Opens the objects of the archive in this folder.
    pub fn open(&self, dir: &Path) -> Result<Box<dyn Objects>, Unusable> {
        let folder = dir.join("objects");
        let of = |path: &Path| {
            let path = path.to_owned();
            move |error| Unusable::Folder(path, error)
        };
        let wanted = self.at.as_deref().map(parse).transpose()?;
        let written = Keeping::written(dir).map_err(of(&dir.join(WRITTEN)))?.as_deref().map(parse).transpose()?;
        let address = match (written, wanted) {
            (None, None) => {
                let disk = Disk::open(&folder, self.open_files).map_err(of(&folder))?;
                return Ok(Box::new(disk));
            }
            (Some(written), Some(wanted)) if written != wanted => {
                return Err(Unusable::Elsewhere(written.to_string(), wanted.to_string()));
            }
            (None, Some(wanted)) if !is_empty(&folder).map_err(of(&folder))? => {
                return Err(Unusable::Elsewhere(folder.display().to_string(), wanted.to_string()));
            }
            (None, Some(wanted)) => {
                let store = self.far(dir, &wanted)?;
                write(dir, &wanted).map_err(of(&dir.join(WRITTEN)))?;
                return Ok(Box::new(store));
            }
            (Some(written), _) => written,
        };
        Ok(Box::new(self.far(dir, &address)?))
    }

    /// Where the archive in this folder has its objects, if not in the folder itself.
    pub fn written(dir: &Path) -> io::Result<Option<String>> {
        match fs::read_to_string(dir.join(WRITTEN)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => Ok(Some(text?.trim().to_owned())),
        }
    }

    fn far(&self, dir: &Path, address: &Address) -> Result<S3, Unusable> {
        let usual = Near::default();
        let folder = self.cache.clone().unwrap_or_else(|| dir.join("cache"));
        let near = Near { folder: Some(folder), disk: self.cache_bytes.unwrap_or(usual.disk), ..usual };
        S3::open(address, &Access::from_env(), &near)
    }
}

fn parse(text: &str) -> Result<Address, Unusable> {
    Address::parse(text).ok_or_else(|| Unusable::Address(text.chars().take(200).collect()))
}

fn write(dir: &Path, address: &Address) -> io::Result<()> {
    let making = dir.join(format!("{WRITTEN}.making"));
    let mut file = File::create(&making)?;
    writeln!(file, "{address}")?;
    file.sync_all()?;
    fs::rename(making, dir.join(WRITTEN))?;
    sync_folder(dir)
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
        keeping.open(dir).err().unwrap().to_string()
    }

    #[test]
    fn objects_stay_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &Address::parse("s3://one/a").unwrap()).unwrap();
        assert_eq!(Keeping::written(dir.path()).unwrap().as_deref(), Some("s3://one/a"));
        assert_eq!(refused(&at("s3://two/a"), dir.path()), "its objects are at s3://one/a, not at s3://two/a");
        let local = tempfile::tempdir().unwrap();
        fs::create_dir_all(local.path().join("objects/00")).unwrap();
        assert!(refused(&at("s3://one/a"), local.path()).ends_with("objects, not at s3://one/a"));
        assert_eq!(Keeping::written(local.path()).unwrap(), None);
        Keeping { open_files: 4, ..Keeping::default() }.open(local.path()).unwrap();
    }

    #[test]
    fn what_is_no_address_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refused(&at("s3:/bucket"), dir.path()).contains("is no address of objects"));
        fs::write(dir.path().join(WRITTEN), "nonsense").unwrap();
        assert!(refused(&Keeping::default(), dir.path()).contains("\"nonsense\" is no address"));
    }
}
