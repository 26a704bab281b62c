//! Bodies read part by part as they come (RFC 2046 5.1), in the memory of one window, whatever the sender wrote.

use memchr::memmem;
use std::io::{self, Read};

/// Bytes that are looked at together.
const WINDOW: usize = 128 << 10;
/// Longest boundary that is taken; RFC 2046 allows 70.
const LONGEST_BOUNDARY: usize = 200;
/// Longest head of a part.
const LONGEST_HEAD: usize = 16 << 10;
/// Most fields of a head.
const MOST_FIELDS: usize = 64;
/// Blanks that may follow a delimiter on its line.
const MOST_BLANKS: usize = 100;
/// Bytes that may come before the first part.
const LONGEST_PREAMBLE: usize = 64 << 10;

/// What ends the reading of a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The boundary can't be one.
    #[error("the boundary has to have 1 to {LONGEST_BOUNDARY} printable characters")]
    Boundary,
    /// The first delimiter is not where it has to be.
    #[error("no part begins in the body")]
    NoParts,
    /// A head is too long, has too many fields, or is no head.
    #[error("the head of a part is {0}")]
    Head(&'static str),
    /// The body ends within a part.
    #[error("the body ends before its last part does")]
    Cut,
    /// The body did not come whole.
    #[error("the body could not be read: {0}")]
    Gone(String),
}

/// The fields of a part's head, names in lower case, in the order they came.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head(Vec<(String, String)>);

impl Head {
    /// The first value of a field; `name` in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn parse(text: &[u8]) -> Result<Head, Trouble> {
        let mut head = Head::default();
        for line in text.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let count = head.0.len();
            match (line.first(), head.0.last_mut()) {
                (None, _) => {}
                // Folded, as RFC 822 had it.
                (Some(b' ' | b'\t'), Some((_, value))) => {
                    value.push(' ');
                    value.push_str(&String::from_utf8_lossy(line.trim_ascii()));
                }
                _ if count == MOST_FIELDS => return Err(Trouble::Head("of too many fields")),
                _ => head.0.push(field(line).ok_or(Trouble::Head("not one of fields and values"))?),
            }
        }
        Ok(head)
    }
}

/// `Name: value`.
fn field(line: &[u8]) -> Option<(String, String)> {
    let (name, value) = line.split_at(memchr::memchr(b':', line)?);
    let is_token = !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic());
    let name = std::str::from_utf8(name).ok().filter(|_| is_token)?;
    Some((name.to_ascii_lowercase(), String::from_utf8_lossy(value[1..].trim_ascii()).into_owned()))
}

/// Where the reading is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Within the content of a part.
    Content,
    /// At the end of a content: its delimiter was taken, and a part follows.
    Between,
    /// After the closing delimiter.
    Over,
    /// No further.
    Failed(Trouble),
}

/// What stands at the front of the window.
enum Front {
    /// So many bytes that belong to no delimiter.
    Bytes(usize),
    /// A delimiter of so many bytes, after which a part follows.
    Delimiter(usize),
    /// The last delimiter.
    Close,
}

/// The parts of a body, in their order. [`Read`] gives the content of the part that [`Parts::next_part`] came to.
pub struct Parts<R> {
    input: R,
    window: Box<[u8]>,
    /// The bytes of the window that were read and not given yet.
    start: usize,
    end: usize,
    /// So many bytes at the front were found to be content.
    sure: usize,
    is_over: bool,
    delimiter: memmem::Finder<'static>,
    state: State,
}

impl<R: Read> Parts<R> {
    /// The parts of a body with this boundary.
    pub fn new(input: R, boundary: &str) -> Result<Parts<R>, Trouble> {
        let is_boundary = |b: u8| b.is_ascii_graphic() || b == b' ';
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY || !boundary.bytes().all(is_boundary) {
            return Err(Trouble::Boundary);
        }
        let delimiter = memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned();
        let mut window = vec![0; WINDOW].into_boxed_slice();
        // The first delimiter may stand at the very begin, without a line before it.
        window[..2].copy_from_slice(b"\r\n");
        Ok(Parts { input, window, start: 0, end: 2, sure: 0, is_over: false, delimiter, state: State::Preamble })
    }

    /// Goes to the next part, past what was not read of this one; its head, or `None` after the last.
    pub fn next_part(&mut self) -> Result<Option<Head>, Trouble> {
        let found = self.find_part();
        if let Err(trouble) = &found {
            self.state = State::Failed(trouble.clone());
        }
        found
    }

    /// What ended the reading before the end of the body.
    pub fn check(&self) -> Result<(), Trouble> {
        match &self.state {
            State::Failed(trouble) => Err(trouble.clone()),
            _ => Ok(()),
        }
    }

    fn find_part(&mut self) -> Result<Option<Head>, Trouble> {
        let mut skipped = 0;
        loop {
            match &self.state {
                State::Preamble | State::Content => match self.front()? {
                    Front::Bytes(count) => {
                        skipped += count;
                        self.start += count;
                        if self.state == State::Preamble && skipped > LONGEST_PREAMBLE {
                            return Err(Trouble::NoParts);
                        }
                    }
                    delimiter => self.pass(delimiter),
                },
                State::Between => {
                    let head = self.head()?;
                    self.state = State::Content;
                    return Ok(Some(head));
                }
                State::Over => return Ok(None),
                State::Failed(trouble) => return Err(trouble.clone()),
            }
        }
    }

    fn pass(&mut self, delimiter: Front) {
        match delimiter {
            Front::Delimiter(length) => {
                self.start += length;
                self.state = State::Between;
            }
            _ => self.state = State::Over,
        }
    }

    /// Reads on until the window has `wanted` bytes or the input is over; false when there are fewer.
    fn fill(&mut self, wanted: usize) -> Result<bool, Trouble> {
        while self.end - self.start < wanted && !self.is_over {
            // Less than what is wanted is moved, which is little.
            if self.start > 0 {
                self.window.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.input.read(&mut self.window[self.end..]) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.end += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::Gone(e.to_string())),
            }
        }
        Ok(self.end - self.start >= wanted)
    }

    /// What is next: bytes of the content as far as they are sure, or a delimiter.
    fn front(&mut self) -> Result<Front, Trouble> {
        if self.sure > 0 {
            return Ok(Front::Bytes(std::mem::take(&mut self.sure)));
        }
        let needle = self.delimiter.needle().len();
        self.fill(needle)?;
        match self.delimiter.find(&self.window[self.start..self.end]) {
            Some(0) => self.delimiter_or_content(needle),
            Some(at) => Ok(Front::Bytes(at)),
            None if self.is_over && self.state == State::Preamble => Err(Trouble::NoParts),
            // What is at the end may be the begin of a delimiter; there is none any more.
            None if self.is_over => Err(Trouble::Cut),
            None => Ok(Front::Bytes((self.end - self.start).saturating_sub(needle - 1).max(1))),
        }
    }

    /// The text of a delimiter is at the front. It is one if the rest of its line is blank, or two hyphens.
    fn delimiter_or_content(&mut self, needle: usize) -> Result<Front, Trouble> {
        if self.fill(needle + 2)? && &self.window[self.start + needle..][..2] == b"--" {
            return Ok(Front::Close);
        }
        let mut at = needle;
        while at - needle < MOST_BLANKS && self.fill(at + 1)? && b" \t".contains(&self.window[self.start + at]) {
            at += 1;
        }
        match self.fill(at + 2)? {
            true if &self.window[self.start + at..][..2] == b"\r\n" => Ok(Front::Delimiter(at + 2)),
            false if self.is_over => Err(Trouble::Cut),
            _ => Ok(Front::Bytes(2)),
        }
    }

    /// Takes the head of a part, with the empty line that ends it.
    fn head(&mut self) -> Result<Head, Trouble> {
        let mut looked = 0;
        loop {
            let there = &self.window[self.start..self.end];
            let end = if there.starts_with(b"\r\n") { Some((0, 2)) } else { None };
            let end =
                end.or_else(|| memmem::find(&there[looked..], b"\r\n\r\n").map(|at| (looked + at, looked + at + 4)));
            if let Some((end, after)) = end.filter(|(end, _)| *end <= LONGEST_HEAD) {
                let head = Head::parse(&there[..end])?;
                self.start += after;
                return Ok(head);
            }
            looked = there.len().saturating_sub(3);
            if there.len() > LONGEST_HEAD + 4 {
                return Err(Trouble::Head("too long"));
            }
            if !self.fill(self.end - self.start + 1)? {
                return Err(Trouble::Cut);
            }
        }
    }
}

impl<R: Read> Read for Parts<R> {
    /// The content of the part; nothing at its end. A part that does not come whole is an error, and stays one.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.state != State::Content {
            return match &self.state {
                State::Failed(trouble) => Err(io::Error::other(trouble.clone())),
                _ => Ok(0),
            };
        }
        match self.front() {
            Ok(Front::Bytes(count)) => {
                self.sure = count.saturating_sub(buf.len());
                let count = count.min(buf.len());
                buf[..count].copy_from_slice(&self.window[self.start..][..count]);
                self.start += count;
                Ok(count)
            }
            Ok(delimiter) => {
                self.pass(delimiter);
                Ok(0)
            }
            Err(trouble) => {
                self.state = State::Failed(trouble.clone());
                Err(io::Error::other(trouble))
            }
        }
    }
}

#[cfg(test)]
mod tests;
