//! Where report lines go: JSON, one per file.

use crate::failure::Failure;
use crate::output::Stdout;
use files::Record;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where report lines go.
pub struct Report(Option<(PathBuf, Box<dyn Write>)>);

impl Report {
    /// A file, standard output for `-`, or nowhere.
    pub fn create(path: Option<&Path>) -> Result<Report, Failure> {
        let Some(path) = path else { return Ok(Report(None)) };
        if path.as_os_str() == "-" {
            return Ok(Report(Some((path.to_owned(), Box::new(Stdout)))));
        }
        migrate::apart::check_file(path)?;
        let file = File::create(path).map_err(|e| Failure::io("write the report", path, &e))?;
        Ok(Report(Some((path.to_owned(), Box::new(BufWriter::new(file))))))
    }

    /// Adds a line; it is there for a reader at once.
    pub fn write(&mut self, record: &Record) -> Result<(), Failure> {
        let Some((path, out)) = &mut self.0 else { return Ok(()) };
        let json = record.json().map_err(|e| Failure::new(format!("cannot write the report: {e}")))?;
        out.write_all((json + "\n").as_bytes())
            .and_then(|()| out.flush())
            .map_err(|e| Failure::io("write the report", path, &e))
    }
}
