//! The bytes of an item, brought to where they can be read as a file.

use super::pack::{LARGEST, Tar, open_zip};
use super::retry::Fault;
use super::web::Server;
use super::{zip_cut, zip_doubles};
use crate::journal::{Kind, Row};
use files::{
    Advice,
    notice::{is_full, reason},
    without_panic,
};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use zip::ZipArchive;

/// Why the bytes of an item could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its bytes are wrong.
    #[error("{0}")]
    Refused(String),
    /// The environment is in the way.
    #[error("{0}")]
    Failed(String, Option<Advice>),
    /// There is no room for it.
    #[error("no space left on the disk of the destination")]
    Full,
}

/// A copy made for one item; gone when dropped.
#[derive(Debug)]
pub struct Spooled {
    path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}

impl Spooled {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Fetches items, one after the other.
pub struct Fetch<'a> {
    /// Folder of temporary files.
    scratch: &'a Path,
    servers: &'a [Server],
    stop: &'a AtomicBool,
    name: usize,
    made: usize,
    zip: Option<(PathBuf, ZipArchive<BufReader<File>>)>,
}

impl<'a> Fetch<'a> {
    /// No two of a run have the same `name`; `servers` are those whose instances may be asked for.
    pub fn new(scratch: &'a Path, servers: &'a [Server], stop: &'a AtomicBool, name: usize) -> Self {
        Fetch { scratch, servers, stop, name, made: 0, zip: None }
    }

    /// A copy of the item's bytes; none where the item is a file already.
    pub fn fetch(&mut self, row: &Row) -> Result<Option<Spooled>, FetchError> {
        match row.kind {
            Kind::File | Kind::Listed | Kind::Backlog => Ok(None),
            Kind::Zip => self.zip_entry(row).map(Some),
            Kind::Tar => self.tar_entry(row).map(Some),
            Kind::Web => self.web_instance(row).map(Some),
            Kind::ZipCut => self.cut_zip_entry(row).map(Some),
            Kind::Stream => Err(FetchError::Refused("an entry of a stream is not fetched alone".into())),
        }
    }

    /// Goes through a packed stream once and hands over those of its entries that are in `rows`, in their order.
    pub fn stream(&mut self, rows: &[Row], mut each: impl FnMut(&Row, Result<Spooled, FetchError>)) {
        let Some(first) = rows.first() else { return };
        let (mut left, mut number) = (rows, 0);
        let walked = Tar::open(&first.path, Kind::Stream).and_then(|mut tar| {
            tar.each(&mut 0, |entry| {
                let Some((row, rest)) = left.split_first() else { return Ok::<_, io::Error>(false) };
                if row.part == number {
                    left = rest;
                    each(row, self.spool(entry.read, entry.size));
                }
                number += 1;
                Ok(!left.is_empty())
            })
        });
        let why = walked.err().map_or_else(|| "the packed file ends before it".to_owned(), |e| reason(&e));
        left.iter().for_each(|row| each(row, Err(FetchError::Refused(why.clone()))));
    }

    fn zip_entry(&mut self, row: &Row) -> Result<Spooled, FetchError> {
        let mut zip = match self.zip.take().filter(|(path, _)| *path == row.path) {
            Some((_, zip)) => zip,
            None => open_zip(&row.path).map_err(|e| cannot_read(&e))?,
        };
        let part = usize::try_from(row.part).unwrap_or(usize::MAX);
        let spooled = match zip.by_index(part) {
            Ok(mut entry) => {
                let size = entry.size();
                self.spool(&mut entry, Some(size))
            }
            Err(e) => Err(FetchError::Refused(e.to_string())),
        };
        self.zip = Some((row.path.clone(), zip));
        spooled
    }

    fn tar_entry(&mut self, row: &Row) -> Result<Spooled, FetchError> {
        let mut file = File::open(&row.path).map_err(|e| cannot_read(&e))?;
        file.seek(SeekFrom::Start(row.part)).map_err(|e| cannot_read(&e))?;
        self.spool(&mut file.take(row.bytes), Some(row.bytes))
    }

    fn web_instance(&mut self, row: &Row) -> Result<Spooled, FetchError> {
        let address = row.path.to_string_lossy();
        let path = |server: &'a Server| Some((server, address.strip_prefix(server.root())?.trim_start_matches('/')));
        let Some((server, path)) = self.servers.iter().find_map(path) else {
            return Err(FetchError::Failed("its server is not named".into(), None));
        };
        let mut spooled = self.place();
        match server.instance(path, &spooled.path, self.stop) {
            Ok(bytes) => {
                spooled.bytes = bytes;
                Ok(spooled)
            }
            Err(Fault::Again(why, _)) => Err(FetchError::Failed(why, Some(Advice::AskedAgain))),
            Err(Fault::Never(why)) => Err(FetchError::Failed(why, None)),
        }
    }

    fn cut_zip_entry(&mut self, row: &Row) -> Result<Spooled, FetchError> {
        let mut spooled = self.place();
        let mut to = File::create(&spooled.path).map_err(|e| cannot_write(&e))?;
        spooled.bytes =
            zip_cut::copy(&row.path, row.part % zip_doubles::BEGIN, &mut to).map_err(|e| match is_full(&e) {
                true => FetchError::Full,
                false => FetchError::Refused(format!("the packed file is damaged: {}", reason(&e))),
            })?;
        Ok(spooled)
    }

    /// Writes all of it to a temporary file; exactly `size` bytes, where that is known.
    fn spool(&mut self, from: &mut dyn Read, size: Option<u64>) -> Result<Spooled, FetchError> {
        let mut spooled = self.place();
        let mut to = File::create(&spooled.path).map_err(|e| cannot_write(&e))?;
        let (mut buffer, mut from) = (vec![0; 256 << 10], from.take(size.unwrap_or(LARGEST).saturating_add(1)));
        loop {
            let read = without_panic(|| from.read(&mut buffer)).map_err(FetchError::Refused)?;
            let n = match read {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) => return Err(FetchError::Refused(format!("the packed file is damaged: {}", reason(&e)))),
            };
            to.write_all(&buffer[..n]).map_err(|e| cannot_write(&e))?;
            spooled.bytes += n as u64;
        }
        match size.is_none_or(|size| spooled.bytes == size) && spooled.bytes <= LARGEST {
            true => Ok(spooled),
            false => Err(FetchError::Refused("the packed file is damaged: an entry has not the size it says".into())),
        }
    }

    fn place(&mut self) -> Spooled {
        self.made += 1;
        Spooled { path: self.scratch.join(format!("fetched-{}-{}", self.name, self.made)), bytes: 0 }
    }
}

fn cannot_read(error: &io::Error) -> FetchError {
    FetchError::Failed(reason(error), Advice::on(error))
}

fn cannot_write(error: &io::Error) -> FetchError {
    match is_full(error) {
        true => FetchError::Full,
        false => FetchError::Failed(format!("cannot write the destination: {}", reason(error)), Advice::on(error)),
    }
}
