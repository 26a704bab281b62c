//! Files of lines that hold each other: each ends with a checksum of itself, and with a hash over the line before it and itself.
//!
//! A line is `BODY,"sum":"...","chain":"..."}`, where `BODY` is a JSON object without its closing brace. `sum` is the first half of its
//! SHA-256; `chain` is the SHA-256 of the chain before, as 64 hexadecimal digits, followed by `BODY`. Before the first line stand 64
//! zeros. So the last chain, the head, stands for the whole file: signed once, it tells of every line that is changed, missing, added or
//! moved. A file that goes on from elsewhere says from where, in the last member of the `BODY` of its first line, `after`: the head of a
//! file that was rotated away, or the SHA-256 of all that stands before in a file whose end has no chain.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What stands before the first line.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SUM: &[u8] = b",\"sum\":\"";
const CHAIN: &[u8] = b"\",\"chain\":\"";
const AFTER: &[u8] = b",\"after\":\"";
const END: &[u8] = b"\"}";
const SUM_DIGITS: usize = 32;
const CHAIN_DIGITS: usize = 64;
/// Bytes that are read at once on the way back from the end of a file.
const BACK: u64 = 64 << 10;

/// Where the next line of a file hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    head: String,
    /// The next line says from where it goes on.
    says: bool,
}

impl Chain {
    /// Goes on from this head in a file that has no line yet.
    pub fn from(head: String) -> Chain {
        Chain { says: head != NOTHING, head }
    }

    /// Goes on at the end of a file, open for reading and writing; a last line that a killed run did not finish is cut off.
    pub fn go_on(file: &mut File) -> io::Result<Chain> {
        cut_tail(file)?;
        let Some(last) = last_line(file)? else { return Ok(Chain { head: NOTHING.into(), says: false }) };
        if let Some(sealed) = Sealed::parse(&last).filter(Sealed::is_whole) {
            return Ok(Chain { head: sealed.chain.to_owned(), says: false });
        }
        let mut all = Sha256::new();
        file.seek(SeekFrom::Start(0))?;
        io::copy(&mut &*file, &mut all)?;
        Ok(Chain { head: hex(&all.finalize()), says: true })
    }

    /// The head.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The line, with its end, of a JSON object that is not empty.
    pub fn line(&mut self, mut object: String) -> String {
        object.pop();
        if std::mem::take(&mut self.says) {
            object.push_str(&format!(",\"after\":\"{}\"", self.head));
        }
        self.head = link(&self.head, object.as_bytes());
        format!("{object},\"sum\":\"{}\",\"chain\":\"{}\"}}\n", sum(object.as_bytes()), self.head)
    }
}

/// The parts of a line.
struct Sealed<'a> {
    body: &'a [u8],
    sum: &'a str,
    chain: &'a str,
}

impl<'a> Sealed<'a> {
    fn parse(line: &'a [u8]) -> Option<Sealed<'a>> {
        let line = line.strip_suffix(END)?;
        let (line, chain) = line.split_at_checked(line.len().checked_sub(CHAIN_DIGITS)?)?;
        let line = line.strip_suffix(CHAIN)?;
        let (line, sum) = line.split_at_checked(line.len().checked_sub(SUM_DIGITS)?)?;
        let digits = |text: &'a [u8]| {
            let all = text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            std::str::from_utf8(text).ok().filter(|_| all)
        };
        Some(Sealed { body: line.strip_suffix(SUM)?, sum: digits(sum)?, chain: digits(chain)? })
    }

    fn is_whole(&self) -> bool {
        sum(self.body) == self.sum
    }

    fn after(&self) -> Option<&'a str> {
        let body = self.body.strip_suffix(b"\"")?;
        let (body, head) = body.split_at_checked(body.len().checked_sub(CHAIN_DIGITS)?)?;
        body.ends_with(AFTER).then(|| std::str::from_utf8(head).ok())?
    }
}

/// The sum that a line of an earlier version has alone.
fn old_sum(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(END)?;
    let (line, sum) = line.split_at_checked(line.len().checked_sub(SUM_DIGITS)?)?;
    Some((line.strip_suffix(SUM)?, sum))
}

fn link(head: &str, body: &[u8]) -> String {
    hex(&Sha256::new().chain_update(head).chain_update(body).finalize())
}

fn sum(body: &[u8]) -> String {
    hex(&Sha256::digest(body)[..SUM_DIGITS / 2])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts off what follows the last end of a line, unless a whole line lacks nothing but its end.
fn cut_tail(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let begins = behind_newline(file, length)?;
    if begins == length {
        return Ok(());
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begins))?;
    file.take(length - begins).read_to_end(&mut tail)?;
    let whole = |line: &[u8]| match Sealed::parse(line) {
        Some(sealed) => sealed.is_whole(),
        None => match old_sum(line) {
            Some((body, found)) => sum(body).as_bytes() == found,
            None => !line.windows(SUM.len()).any(|part| part == SUM) && is_object(line),
        },
    };
    let keep = match tail.split_last() {
        _ if whole(&tail) => length,
        // Another byte stands where the end was.
        Some((_, line)) if whole(line) => length - 1,
        _ => return file.set_len(begins),
    };
    file.set_len(keep)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(b"\n")
}

fn is_object(line: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line).is_ok()
}

/// The offset behind the last end of a line before `end`; 0 where there is none.
fn behind_newline(file: &mut File, end: u64) -> io::Result<u64> {
    let (mut end, mut buffer) = (end, Vec::new());
    while end > 0 {
        let from = end.saturating_sub(BACK);
        buffer.clear();
        file.seek(SeekFrom::Start(from))?;
        file.take(end - from).read_to_end(&mut buffer)?;
        if let Some(at) = buffer.iter().rposition(|byte| *byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// The last line, without its end, of a file that ends with one.
fn last_line(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let Some(end) = file.seek(SeekFrom::End(0))?.checked_sub(1) else { return Ok(None) };
    let begins = behind_newline(file, end)?;
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(begins))?;
    file.take(end - begins).read_to_end(&mut line)?;
    Ok(Some(line))
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is not what was written.
    Damaged,
    /// It does not follow what stands before it.
    Broken,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Damaged => "the line is not what was written",
            What::Broken => "lines before it are missing, or it is not in its place",
        })
    }
}

/// Something is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// Its number, from 1.
    pub line: u64,
    /// In which way.
    pub what: What,
}

/// What stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line that is what was written; one of an earlier version is taken as it is.
    Whole {
        /// Its number, from 1.
        number: u64,
        /// The offset of its first byte.
        at: u64,
        /// A JSON object.
        body: Vec<u8>,
    },
    /// Something is wrong here. What is in a line that is whole, but not in its place, comes next.
    Trouble(Trouble),
}

/// Reads a file line by line, and looks at each.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    /// Chains that the next line may hang on: of a damaged line, what it says and what it should say.
    heads: Vec<String>,
    all: Sha256,
    at: u64,
    number: u64,
    chained: bool,
    unchained: u64,
    after: Option<String>,
    tail: bool,
    /// A line that was told to be out of its place.
    next: Option<Line>,
}

/// Opens a file of lines.
pub fn open(path: &Path) -> io::Result<Reader<BufReader<File>>> {
    Ok(Reader::new(BufReader::with_capacity(256 << 10, File::open(path)?)))
}

impl<R: BufRead> Reader<R> {
    /// Reads from the beginning of a file.
    pub fn new(from: R) -> Reader<R> {
        Reader {
            from,
            heads: vec![NOTHING.into()],
            all: Sha256::new(),
            at: 0,
            number: 0,
            chained: false,
            unchained: 0,
            after: None,
            tail: false,
            next: None,
        }
    }

    /// The chain of the last line that was read.
    pub fn head(&self) -> &str {
        self.heads.first().map_or(NOTHING, String::as_str)
    }

    /// Lines that were read.
    pub fn lines(&self) -> u64 {
        self.number
    }

    /// Lines of an earlier version, which have no chain.
    pub fn unchained(&self) -> u64 {
        self.unchained
    }

    /// The head that the first line goes on from, which stands elsewhere.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The last line is not finished: a run was killed, and the next one cuts it off.
    pub fn has_tail(&self) -> bool {
        self.tail
    }

    fn step(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.next.take() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        self.from.read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            self.tail = !line.is_empty();
            return Ok(None);
        }
        self.number += 1;
        let at = self.at;
        self.at += line.len() as u64;
        let before = self.all.clone();
        self.all.update(&line);
        line.pop();
        let number = self.number;
        let trouble = |what| Line::Trouble(Trouble { line: number, what });
        let Some(sealed) = Sealed::parse(&line) else {
            let damaged = self.chained
                || match old_sum(&line) {
                    Some((body, found)) => sum(body).as_bytes() != found,
                    None => {
                        [&SUM[1..], &CHAIN[2..]].iter().any(|mark| line.windows(mark.len()).any(|part| part == *mark))
                    }
                };
            if damaged {
                // Nobody knows what the next one hangs on.
                self.heads.clear();
                return Ok(Some(trouble(What::Damaged)));
            }
            self.unchained += 1;
            return Ok(Some(Line::Whole { number, at, body: line }));
        };
        let (first, whole) = (!self.chained, sealed.is_whole());
        self.chained = true;
        if !whole {
            self.heads = vec![sealed.chain.to_owned(), link(self.head(), sealed.body)];
            return Ok(Some(trouble(What::Damaged)));
        }
        let mut follows = true;
        if let Some(after) = sealed.after() {
            let elsewhere = first && number == 1;
            let known = self.heads.is_empty() || self.heads.iter().any(|head| head == after);
            follows = elsewhere || known || hex(&before.finalize()) == after;
            if elsewhere {
                self.after = Some(after.to_owned());
            }
            self.heads = vec![after.to_owned()];
        }
        let lost = self.heads.is_empty();
        let hangs = lost || self.heads.iter().any(|head| link(head, sealed.body) == sealed.chain);
        let computed = if lost { sealed.chain.to_owned() } else { link(self.head(), sealed.body) };
        self.heads = vec![sealed.chain.to_owned()];
        if computed != sealed.chain {
            self.heads.push(computed);
        }
        let body = [sealed.body, b"}"].concat();
        let line = Line::Whole { number, at, body };
        if hangs && follows {
            return Ok(Some(line));
        }
        self.next = Some(line);
        Ok(Some(trouble(What::Broken)))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        self.step().transpose()
    }
}

/// How a file stands.
#[derive(Debug, Clone)]
pub struct Head {
    /// The file.
    pub file: PathBuf,
    /// Its lines.
    pub lines: u64,
    /// Those of an earlier version, which have no chain: the first line that has one stands for them too.
    pub unchained: u64,
    /// The chain of the last line.
    pub head: String,
    /// The head it goes on from.
    pub after: Option<String>,
    /// What is wrong with its lines.
    pub troubles: Vec<Trouble>,
    /// Its last line is not finished.
    pub tail: bool,
}

impl Head {
    /// Reads a file to its end.
    pub fn of(file: &Path) -> io::Result<Head> {
        let (mut reader, mut troubles) = (open(file)?, Vec::new());
        for line in reader.by_ref() {
            if let Line::Trouble(trouble) = line? {
                troubles.push(trouble);
            }
        }
        Ok(Head {
            file: file.to_owned(),
            lines: reader.lines(),
            unchained: reader.unchained(),
            head: reader.head().to_owned(),
            after: reader.after().map(str::to_owned),
            troubles,
            tail: reader.has_tail(),
        })
    }
}

/// Is there a line with this chain?
pub fn holds(file: &Path, head: &str) -> io::Result<bool> {
    #[derive(Deserialize)]
    struct Chained<'a> {
        #[serde(borrow)]
        chain: Option<&'a str>,
    }
    for line in BufReader::new(File::open(file)?).split(b'\n') {
        let line = line?;
        if serde_json::from_slice::<Chained>(&line).is_ok_and(|line| line.chain == Some(head)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(numbers: std::ops::Range<u32>) -> Vec<String> {
        numbers.map(|n| format!("{{\"n\":{n},\"text\":\"a \\\"b\\\" c\"}}")).collect()
    }

    fn written(numbers: std::ops::Range<u32>) -> Vec<String> {
        let mut chain = Chain::from(NOTHING.into());
        objects(numbers).into_iter().map(|object| chain.line(object)).collect()
    }

    fn read(text: &[u8]) -> (Vec<u64>, Vec<Trouble>, String) {
        let (mut reader, mut whole, mut troubles) = (Reader::new(text), Vec::new(), Vec::new());
        for line in reader.by_ref() {
            match line.unwrap() {
                Line::Whole { body, .. } => {
                    let n = serde_json::from_slice::<serde_json::Value>(&body).unwrap()["n"].as_u64().unwrap();
                    whole.push(n);
                }
                Line::Trouble(trouble) => troubles.push(trouble),
            }
        }
        (whole, troubles, reader.head().to_owned())
    }

    fn damaged(line: u64) -> Trouble {
        Trouble { line, what: What::Damaged }
    }

    fn broken(line: u64) -> Trouble {
        Trouble { line, what: What::Broken }
    }

    #[test]
    fn whole_lines_are_read_as_they_were_written() {
        let lines = written(0..5);
        let (whole, troubles, head) = read(lines.concat().as_bytes());
        assert_eq!((whole, troubles), (vec![0, 1, 2, 3, 4], vec![]));
        assert!(lines[4].contains(&head));
    }

    #[test]
    fn any_flipped_bit_is_found_in_its_line() {
        let lines = written(0..3);
        let text = lines.concat().into_bytes();
        let at = lines[0].len();
        for bit in 0..(lines[1].len() - 1) * 8 {
            let mut flipped = text.clone();
            flipped[at + bit / 8] ^= 1 << (bit % 8);
            let (_, troubles, _) = read(&flipped);
            assert!(troubles.first().is_some_and(|trouble| trouble.line == 2), "bit {bit}: {troubles:?}");
            if !flipped[at..at + lines[1].len() - 1].contains(&b'\n') {
                assert!(troubles.iter().all(|trouble| trouble.line <= 3), "bit {bit}: {troubles:?}");
            }
        }
        // A bit of the first and only line.
        for bit in 0..(lines[0].len() - 1) * 8 {
            let mut flipped = lines[0].clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!read(&flipped).1.is_empty(), "bit {bit}");
        }
    }

    #[test]
    fn missing_moved_and_repeated_lines_are_found() {
        let lines = written(0..6);
        let of = |order: &[usize]| order.iter().map(|n| lines[*n].as_str()).collect::<String>();
        assert_eq!(read(of(&[1, 2]).as_bytes()).1, [broken(1)]);
        assert_eq!(
            read(of(&[0, 1, 3, 4]).as_bytes()),
            (vec![0, 1, 3, 4], vec![broken(3)], read(of(&[0, 1, 2, 3, 4]).as_bytes()).2)
        );
        assert_eq!(read(of(&[0, 2, 1, 3]).as_bytes()).1, [broken(2), broken(3), broken(4)]);
        assert_eq!(read(of(&[0, 0, 1]).as_bytes()).1[0], broken(2));
        // The end is missing: the head tells.
        assert_ne!(read(of(&[0, 1, 2]).as_bytes()).2, read(of(&[0, 1, 2, 3]).as_bytes()).2);
    }

    fn reopened(before: &[u8], more: std::ops::Range<u32>) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(before).unwrap();
        let mut chain = Chain::go_on(&mut file).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        objects(more).into_iter().for_each(|object| file.write_all(chain.line(object).as_bytes()).unwrap());
        let mut all = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn a_file_goes_on_where_it_was_cut_at_any_byte() {
        let all = written(0..4).concat();
        let three = written(0..3).concat();
        for cut in three.len()..all.len() {
            let n = if cut == all.len() - 1 { 4 } else { 3 };
            assert_eq!(reopened(&all.as_bytes()[..cut], n..5), written(0..5).concat().as_bytes(), "cut at {cut}");
        }
        let zeros = [three.as_bytes(), &[0; 100_000]].concat();
        assert_eq!(reopened(&zeros, 3..5), written(0..5).concat().as_bytes());
    }

    #[test]
    fn lines_without_a_chain_are_held_by_the_first_that_has_one() {
        let old = objects(0..3).join("\n") + "\n";
        let all = reopened(old.as_bytes(), 3..6);
        assert_eq!(read(&all).0, [0, 1, 2, 3, 4, 5]);
        assert_eq!(read(&all).1, []);
        let mut changed = all.clone();
        let at = changed.iter().position(|byte| *byte == b'1').unwrap();
        changed[at] = b'7';
        assert_eq!(read(&changed).1, [broken(4)]);
        // So is an end that is damaged, by those that come behind it.
        let mut lines = written(0..3).concat().into_bytes();
        let at = written(0..2).concat().len() + 5;
        lines[at] ^= 1;
        let all = reopened(&lines, 3..5);
        assert_eq!((read(&all).0, read(&all).1), (vec![0, 1, 3, 4], vec![damaged(3)]));
    }
}
