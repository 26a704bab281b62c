//! Entries of a zip file whose name is there again: the crate `zip` keeps one entry a name, the last. The others are found by their
//! records in the directory (APPNOTE 4.3.12) and read by their own headers, as those of a zip file that is cut.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use zip::ZipArchive;

const RECORD: usize = 46;
/// Added to where its header begins, for the journal: the entries that `zip` shows have their numbers below.
pub(super) const BEGIN: u64 = 1 << 62;

/// An entry that the directory names and `zip` does not show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Double {
    /// Its path as written.
    pub name: Vec<u8>,
    /// Where its header begins.
    pub at: u64,
    /// Its size unpacked, and packed.
    pub size: u64,
    pub packed: u64,
}

/// The records of the directory of `file` that are none of the entries shown. Those of entries over 4 GiB are left out.
pub(super) fn of(zip: &mut ZipArchive<BufReader<File>>, file: &mut BufReader<File>) -> io::Result<Vec<Double>> {
    let mut count = 0;
    each(file, zip.central_directory_start(), |_, _, _| count += 1)?;
    if count <= zip.len() {
        return Ok(Vec::new());
    }
    // Only now: `zip` reads each entry's own header to tell.
    let mut shown = HashSet::new();
    for part in 0..zip.len() {
        shown.extend(zip.by_index_raw(part).ok().map(|entry| entry.central_header_start()));
    }
    let (offset, mut doubles) = (zip.offset(), Vec::new());
    each(file, zip.central_directory_start(), |at, record, name| {
        let four = |n: usize| u32::from_le_bytes([record[n], record[n + 1], record[n + 2], record[n + 3]]);
        if !shown.contains(&at) && four(42) != u32::MAX {
            let (size, packed) = (four(24).into(), four(20).into());
            doubles.push(Double { name, at: offset + u64::from(four(42)), size, packed });
        }
    })?;
    Ok(doubles)
}

/// Hands on each record of the directory that begins at `start`: where it is, its fixed part, and the name after that.
fn each(file: &mut BufReader<File>, start: u64, mut act: impl FnMut(u64, &[u8; RECORD], Vec<u8>)) -> io::Result<()> {
    let mut at = start;
    file.seek(SeekFrom::Start(at))?;
    loop {
        let mut record = [0; RECORD];
        match file.read_exact(&mut record) {
            Ok(()) if record.starts_with(b"PK\x01\x02") => {}
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        }
        let two = |n: usize| u16::from_le_bytes([record[n], record[n + 1]]);
        let mut name = Vec::new();
        file.by_ref().take(two(28).into()).read_to_end(&mut name)?;
        let rest = i64::from(two(30)) + i64::from(two(32));
        file.seek_relative(rest)?;
        act(at, &record, name);
        at += RECORD as u64 + u64::from(two(28)) + rest as u64;
    }
}
