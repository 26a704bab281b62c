//! Standard output and standard error, which may be closed before a command has ended (`firstlight verify *.dcm | head -1`).
//!
//! The macros of the standard library panic then. Those of the same names here, which the whole crate uses, do not: what nobody reads
//! is not written, and the command ends as it would have. Any other failure to write standard output is told at the end.

use crate::failure::Failure;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

macro_rules! println {
    () => { $crate::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! print {
    ($($text:tt)*) => { $crate::output::out(format_args!($($text)*)) };
}

macro_rules! eprintln {
    () => { $crate::output::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($text)*))) };
}

macro_rules! eprint {
    ($($text:tt)*) => { $crate::output::err(format_args!($($text)*)) };
}

/// Standard output for what writes by itself, with the same manners.
#[derive(Debug)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if closed() {
            return Ok(bytes.len());
        }
        match io::stdout().lock().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                stop(error);
                Ok(bytes.len())
            }
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().lock().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                stop(error);
                Ok(())
            }
            flushed => flushed,
        }
    }
}

/// Writes to standard output, as long as somebody reads it.
pub fn out(text: Arguments) {
    if closed() {
        return;
    }
    if let Err(error) = io::stdout().lock().write_fmt(text) {
        stop(error);
    }
}

/// Writes to standard error, if somebody reads it.
pub fn err(text: Arguments) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Nothing more can be written to standard output: who works for that alone may end.
pub fn closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// What kept standard output from being written, other than that nobody reads it.
pub fn end() -> Result<(), Failure> {
    if !closed()
        && let Err(error) = io::stdout().lock().flush()
    {
        stop(error);
    }
    match FAILED.lock().unwrap_or_else(|e| e.into_inner()).take() {
        None => Ok(()),
        Some(error) => Err(Failure::io("write", "standard output".as_ref(), &error)),
    }
}

fn stop(error: io::Error) {
    CLOSED.store(true, Ordering::Relaxed);
    if error.kind() != ErrorKind::BrokenPipe {
        FAILED.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(error);
    }
}
