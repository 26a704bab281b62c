//! `firstlight audit [SRC]... DST`: accounts for every source, reads every byte of the destination, and names what is not as it was.
//!
//! All of it is done by the crate `migrate`; this says what is wrong as it is found, and closes with the [`table`].

mod table;

use crate::failure::{Exit, Failure};
use crate::settings;
use crate::stop::{self, Stop};
use crate::units::{bytes, duration};
use crate::words;
use files::chain;
use migrate::audit::{Audit, Audited, Finding, News};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Runs the command.
pub fn run(set: settings::Audit) -> Result<Exit, Failure> {
    let scratch = tempfile::tempdir().map_err(|e| Failure::io("write to", &std::env::temp_dir(), &e))?;
    stop::remove_at_exit(scratch.path().to_owned());
    let stop = Stop::on_interrupt();
    let audit = Audit {
        sources: &set.sources,
        headers: &set.headers,
        destination: &set.destination,
        scratch: scratch.path(),
        jobs: set.jobs,
        stop: stop.flag(),
    };
    let (began, mut last, mut read) = (Instant::now(), Instant::now(), 0);
    let mut audited = audit.run(&mut |news| match news {
        News::Finding(finding) => say(&if set.json { object(finding).to_string() } else { line(finding) }),
        News::Note(note) => eprintln!("note: {note}"),
        News::Source(notice) => eprintln!("note: {}", words::line(&notice)),
        News::Read(more) => {
            read += more;
            if !set.quiet && last.elapsed() >= EVERY {
                last = Instant::now();
                eprintln!("audit: {} read, {}", bytes(read), duration(began.elapsed()));
            }
        }
    });
    if let Ok(audited) = &mut audited {
        signed(&set, audited)?;
    }
    let audited = audited?;
    let text = table::show(&audited, &set.destination, began.elapsed());
    if set.json {
        say(&table::object(&audited).to_string());
        eprint!("{text}");
    } else {
        say(text.trim_end());
    }
    match (audited.stopped, audited.is_well()) {
        (true, _) => {
            eprintln!("stopped: what was read so far is told above; an audit begins anew");
            Ok(Exit::Stopped)
        }
        (false, true) => Ok(Exit::Well),
        (false, false) => Ok(Exit::Refused),
    }
}

/// Heads that were signed stand in a chain of today, at its end or before.
fn signed(set: &settings::Audit, audited: &mut Audited) -> Result<(), Failure> {
    for wanted in &set.heads {
        let mut held = false;
        for head in &audited.heads {
            held |= head.head == *wanted
                || chain::holds(&head.file, wanted).map_err(|e| Failure::io("read", &head.file, &e))?;
        }
        if !held {
            let finding = audited.unsigned(&set.destination, wanted);
            say(&if set.json { object(&finding).to_string() } else { line(&finding) });
        }
    }
    Ok(())
}

/// One line on standard output; who hears no more is told no more.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

fn line(finding: &Finding) -> String {
    format!("{}: {}: {}", finding.kind.name(), finding.path.display(), finding.what)
}

fn object(finding: &Finding) -> Value {
    let mut object = json!({"kind": finding.kind.name(), "path": finding.path.to_string_lossy(), "what": finding.what});
    let mut more = |name: &str, path: &Path, bytes: &str| {
        if let Some(encoded) = files::names::bytes_of(path) {
            object[bytes] = encoded.into();
        }
        object[name] = path.to_string_lossy().into();
    };
    more("path", &finding.path, "path_bytes");
    if let Some(to) = &finding.to {
        more("to", to, "to_bytes");
    }
    object
}
