//! A chain of lines: each begins with the SHA-256 of itself and of what came before. A line that was changed, left out or put in breaks it.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Hexadecimal digits of a hash.
const HASH: usize = 64;
/// Bytes of a line.
const LONGEST: u64 = 64 << 10;
/// How the names of files begin and end; between is a number.
const NAME: (&str, &str) = ("access-", ".log");

/// The end of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head(pub [u8; 32]);

impl Head {
    /// The line of a frame that follows, and the new end.
    pub fn line(&self, frame: &str) -> (String, Head) {
        let next = Head(Sha256::new().chain_update(self.0).chain_update(frame).finalize().into());
        (format!("{} {frame}\n", next.text()), next)
    }

    /// Hexadecimal.
    pub fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(text: &str) -> Option<Head> {
        let digit = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..32).map(digit).collect();
        (text.len() == HASH).then_some(Head(bytes?.try_into().ok()?))
    }
}

/// What was found to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Files.
    pub files: usize,
    /// Records.
    pub records: u64,
    /// Hash of the last one: written down elsewhere, it tells later that nothing was cut off.
    pub head: String,
    /// A head that was asked for is one of the records.
    pub holds: Option<bool>,
}

/// Where a chain is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line does not follow from those before it.
    #[error("{}, line {line}: it was changed, or lines before it are missing", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
    },
}

/// The files of a record, in order, each with its number.
pub fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(NAME.0).and_then(|rest| rest.strip_suffix(NAME.1)?.parse().ok());
        found.extend(number.map(|number| (number, path)));
    }
    found.sort();
    Ok(found)
}

/// Name of the file of this number.
pub fn name(number: u64) -> String {
    format!("{}{number:06}{}", NAME.0, NAME.1)
}

/// Reads all records of a folder and checks that each follows from those before it. A last line that has no end was being written when the
/// power went: it counts for nothing. `head`: one that was written down.
pub fn check(folder: &Path, head: Option<&str>) -> Result<Checked, Broken> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Broken::Io { path, source }
    };
    let files = files(folder).map_err(io(folder))?;
    let (mut records, mut end, mut holds) = (0, None, head.map(|_| false));
    for (_, path) in &files {
        let (mut lines, mut number) = (BufReader::new(File::open(path).map_err(io(path))?), 0);
        while let Some(line) = next_line(&mut lines).map_err(io(path))? {
            number += 1;
            let follows = follows(end, &line).ok_or_else(|| Broken::Line { path: path.clone(), line: number })?;
            if follows.1 {
                records += 1;
            }
            if head.is_some_and(|head| follows.0.text() == head) {
                holds = Some(true);
            }
            end = Some(follows.0);
        }
    }
    Ok(Checked { files: files.len(), records, head: end.unwrap_or_default().text(), holds })
}

/// The end of the chain after a line, and whether it is a record; `None`: the line does not follow. What a file begins with says how the one
/// before it ended; where that one is gone, it is taken at its word.
fn follows(end: Option<Head>, line: &str) -> Option<(Head, bool)> {
    let (hash, frame) = line.split_once(' ')?;
    let told = Head::parse(hash)?;
    if frame == "begins" {
        return end.is_none_or(|end| end == told).then_some((told, false));
    }
    (end.unwrap_or_default().line(frame).1 == told).then_some((told, true))
}

/// The first line of a file.
pub fn first_line(end: Head) -> String {
    format!("{} begins\n", end.text())
}

/// The next whole line without its end.
pub fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    io::Read::take(&mut *lines, LONGEST).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    String::from_utf8(line).map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is no text"))
}

/// The end of the chain in a folder, bytes of the last file that are whole lines, and its number.
pub fn end(folder: &Path) -> io::Result<(Head, u64, u64)> {
    let (mut head, mut whole, mut last) = (Head::default(), 0, 0);
    if let Some((number, path)) = files(folder)?.pop() {
        last = number;
        let mut lines = BufReader::new(File::open(path)?);
        while let Some(line) = next_line(&mut lines)? {
            whole += line.len() as u64 + 1;
            head = line.split_once(' ').and_then(|(hash, _)| Head::parse(hash)).unwrap_or(head);
        }
    }
    Ok((head, whole, last))
}
