//! Passwords as they are typed: not shown on a terminal, one line where there is none.

use crate::failure::Failure;
use ::access::check_password;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read};

/// Bytes of a line that are read.
const LONGEST: u64 = 8 << 10;

/// A new password of a user: typed twice on a terminal, else the first line.
pub fn new_password(name: &str) -> Result<String, Failure> {
    let password = match io::stdin().is_terminal() {
        false => line()?,
        true => {
            let first = hidden("Password: ")?;
            check_password(name, &first)?;
            if hidden("Once more: ")? != first {
                return Err(Failure::new("the two passwords are not the same"));
            }
            first
        }
    };
    check_password(name, &password)?;
    Ok(password)
}

fn hidden(prompt: &str) -> Result<String, Failure> {
    let terminal = io::stdin();
    let wrong = |e: rustix::io::Errno| Failure::new(format!("cannot hide what is typed: {e}"));
    eprint!("{prompt}");
    let before = tcgetattr(&terminal).map_err(wrong)?;
    let mut silent = before.clone();
    silent.local_modes &= !LocalModes::ECHO;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(wrong)?;
    let typed = line();
    let back = tcsetattr(&terminal, OptionalActions::Now, &before);
    eprintln!();
    back.map_err(wrong).and(typed)
}

fn line() -> Result<String, Failure> {
    let mut line = String::new();
    let read = io::stdin().lock().take(LONGEST).read_line(&mut line);
    read.map_err(|e| Failure::new(format!("cannot read the password: {e}")))?;
    let line = line.trim_end_matches(['\r', '\n']);
    match line.is_empty() {
        true => {
            Err(Failure::new("no password came on standard input").hint("type it, or hand it over as the first line"))
        }
        false => Ok(line.to_owned()),
    }
}
