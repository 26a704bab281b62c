//! What a user says to a migration from outside, in `DST/.firstlight/control.json`: it is read while the migration runs, and
//! stays when it ends.

use crate::error::{Error, Usage};
use crate::journal::{Journal, sync};
use crate::throttle::{Hours, Limits};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What was said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// Begin nothing new.
    pub paused: bool,
    /// Items worked on at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<usize>,
    /// Bytes of sources a second; 0 is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
    /// Hours of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

impl Control {
    /// What was said to the migration into `destination`; nothing when it was never spoken to, or not clearly.
    pub fn read(destination: &Path) -> Control {
        let text = fs::read(path(destination)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Says it; a running migration hears it within a second.
    pub fn write(&self, destination: &Path) -> Result<(), Error> {
        let folder = Journal::folder(destination);
        if !folder.is_dir() {
            return Err(Usage::NoMigration(destination.to_owned()).into());
        }
        let (path, new) = (path(destination), folder.join("control.new"));
        let text = serde_json::to_vec(self).map_err(|e| Error::io("write", &path)(e.into()))?;
        let written = File::create(&new).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
        written.and_then(|()| fs::rename(&new, &path)).map_err(Error::io("write", &path))?;
        sync(&folder)
    }

    /// Nothing but a pause stays said.
    pub fn forget_limits(destination: &Path) -> Result<(), Error> {
        let said = Control::read(destination);
        if said.paused {
            return Control { paused: true, ..Control::default() }.write(destination);
        }
        match fs::remove_file(path(destination)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path(destination))(e)),
            _ => Ok(()),
        }
    }

    /// The limits a migration was started with, as changed by what was said.
    pub fn over(&self, limits: Limits) -> Limits {
        Limits {
            jobs: self.jobs.unwrap_or(limits.jobs),
            rate: self.rate.or(limits.rate).filter(|rate| *rate > 0),
            hours: self.hours.or(limits.hours),
            paused: self.paused,
        }
    }
}

fn path(destination: &Path) -> PathBuf {
    Journal::folder(destination).join("control.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stays_and_wins() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Control::default().write(folder.path()).is_err());
        fs::create_dir(folder.path().join(".firstlight")).unwrap();
        let hours = "20:00-06:00".parse().ok();
        let said = Control { paused: true, jobs: Some(3), rate: Some(0), hours };
        said.write(folder.path()).unwrap();
        assert_eq!(Control::read(folder.path()), said);
        let limits = said.over(Limits { jobs: 8, rate: Some(5), hours: None, paused: false });
        assert_eq!(limits, Limits { jobs: 3, rate: None, hours, paused: true });
        Control::forget_limits(folder.path()).unwrap();
        assert_eq!(Control::read(folder.path()), Control { paused: true, ..Control::default() });
    }
}
