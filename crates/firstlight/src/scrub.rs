//! `firstlight scrub`: reads and decodes a whole archive again, and names what is not as it was.

use crate::failure::{Exit, Failure};
use crate::kept;
use crate::stop::Stop;
use crate::units::{bytes, count, time};
use archive::{Archive, Fault, Pass, Scrub};
use serde_json::json;
use std::time::{Duration, Instant};

/// Time between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(5);
/// How often the scrubber of a server looks whether it is time for a pass.
const LOOK: Duration = Duration::from_millis(500);

/// Runs the command.
pub fn run(set: crate::settings::look::Scrub) -> Result<Exit, Failure> {
    let (dir, stop) = (&set.data, Stop::on_interrupt());
    if !archive::is_there(dir) && dir.join(files::STATE_DIR).is_dir() {
        return Err(Failure::new(format!("{} is a folder of files, not an archive", dir.display()))
            .hint("firstlight audit DST reads every byte of it and names what is not as it was"));
    }
    let archive = kept::archive(dir)?;
    let mut last = Instant::now();
    let mut told = |pass: Pass, fault: Option<&Fault>| match fault {
        Some(fault) if set.json => println!("{}", json_of(fault)),
        Some(fault) => println!("{}", line(fault)),
        None if last.elapsed() >= EVERY => {
            last = Instant::now();
            eprintln!("{}", progress(pass));
        }
        None => {}
    };
    let how = Scrub { days: set.days, restart: set.restart };
    let (pass, faults) = archive.scrub(how, stop.flag(), &mut told).map_err(|e| Failure::new(e.to_string()))?;
    if stop.asked() {
        eprintln!("stopped: {}; the same command goes on from here", progress(pass));
        return Ok(Exit::Stopped);
    }
    let known = archive.faults().map_err(|e| Failure::new(e.to_string()))?;
    // A pass that went on tells what it had found before it was stopped.
    for fault in known.iter().filter(|known| !faults.iter().any(|f| (f.kind, &f.name) == (known.kind, &known.name))) {
        println!("{}", if set.json { json_of(fault) } else { line(fault) });
    }
    eprintln!(
        "scrub: {} read and compared, {}: {}",
        count(pass.objects, "object"),
        bytes(pass.bytes),
        if known.is_empty() { "all is well".to_owned() } else { count(known.len() as u64, "fault") }
    );
    Ok(if known.is_empty() { Exit::Well } else { Exit::Refused })
}

/// The database of the index is away: it may come back.
fn wait_out(error: &archive::Error) {
    tracing::warn!(%error, "scrubbing waits for it");
    std::thread::sleep(EVERY);
}

/// Passes over the archive, one after the other, until the stop.
pub fn forever(archive: &Archive, days: f64, stop: &Stop) {
    while !stop.asked() {
        let pause = Duration::from_secs_f64(days * 86_400.0);
        let due = match archive.scrub_pass() {
            Ok(Some(Pass { began, ended: Some(_), .. })) => began.saturating_add(pause.as_secs() as i64),
            Ok(_) => 0,
            Err(e @ archive::Error::Unreachable(_)) => {
                wait_out(&e);
                continue;
            }
            Err(e) => return tracing::error!(error = %e, "scrubbing stopped"),
        };
        if now() < due {
            std::thread::sleep(LOOK);
            continue;
        }
        let mut told = |_: Pass, fault: Option<&Fault>| {
            if let Some(fault) = fault {
                tracing::error!("fault: {}", line(fault));
            }
        };
        match archive.scrub(Scrub { days: Some(days), restart: false }, stop.flag(), &mut told) {
            Ok((pass, _)) if pass.ended.is_some() => tracing::info!("scrub: {}", progress(pass)),
            Ok(_) => {}
            // It goes on where it was.
            Err(e @ archive::Error::Unreachable(_)) => wait_out(&e),
            Err(e) => {
                return tracing::error!(error = %e, "scrubbing stopped: firstlight scrub --now finds what is in the way");
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_secs() as i64)
}

fn progress(pass: Pass) -> String {
    format!(
        "{} of {} since {}, {} of {}",
        pass.objects,
        count(pass.of_objects, "object"),
        time(pass.began),
        bytes(pass.bytes),
        bytes(pass.of_bytes)
    )
}

fn line(fault: &Fault) -> String {
    let of = fault.instance.as_ref().map_or(String::new(), |key| format!(" (instance {})", key.sop.escape_debug()));
    format!("{:<8}  {}  {}{of}", fault.kind.name(), fault.name.escape_debug(), fault.what)
}

fn json_of(fault: &Fault) -> String {
    let instance = fault.instance.as_ref().map(|key| json!({"study": key.study, "series": key.series, "sop": key.sop}));
    json!({"kind": fault.kind.name(), "name": fault.name, "what": fault.what, "found": fault.found,
        "instance": instance})
    .to_string()
}
