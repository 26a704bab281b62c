//! The index: is it whole, is every row what was written, do rows agree with each other?

use std::sync::atomic::{AtomicBool, Ordering};

use store::index::{Contradiction, DamagedRows, Fault, FaultKind, Pass};

use super::Run;
use crate::archive::now;
use crate::error::Error;

impl Run<'_> {
    pub(super) fn rows(&mut self, stop: &AtomicBool, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        for table in self.archive.inner.index.sealed_tables()? {
            let mut from = Some(0);
            while let Some(after) = from {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let DamagedRows { rows, next } = match self.archive.inner.index.damaged_rows(&table, after) {
                    Ok(found) => found,
                    Err(error) => DamagedRows { rows: vec![format!("(all): {error}")], next: None },
                };
                for row in rows {
                    self.damaged.insert((table.clone(), row.clone()));
                    self.row_fault(&table, row, told)?;
                }
                from = next;
            }
        }
        self.agreement(told)?;
        self.structure(told)
    }

    fn row_fault(&mut self, table: &str, row: String, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let kind = if table == "evidence" { FaultKind::Evidence } else { FaultKind::Index };
        let what = "the row is not what was written".to_owned();
        self.found(Fault { kind, name: format!("{table} {row}"), instance: None, what, found: now() }, told)
    }

    /// What rows say of each other. Where rows are damaged, what follows from that is not told again.
    fn agreement(&mut self, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let mut damaged: Vec<&str> = self.damaged.iter().map(|(table, _)| table.as_str()).collect();
        damaged.dedup();
        for Contradiction { kind, name, what } in self.archive.inner.index.contradictions(&damaged)? {
            self.found(Fault { kind, name, instance: None, what, found: now() }, told)?;
        }
        Ok(())
    }

    /// How the engine keeps the tables: pages, trees, the order of keys.
    fn structure(&mut self, told: &mut dyn FnMut(Pass, Option<&Fault>)) -> Result<(), Error> {
        let lines = self.archive.inner.index.structure(!self.damaged.is_empty());
        let lines = lines.unwrap_or_else(|error| vec![error.to_string()]);
        for (n, what) in lines.into_iter().enumerate() {
            let name = format!("structure {}", n + 1);
            self.found(Fault { kind: FaultKind::Index, name, instance: None, what, found: now() }, told)?;
        }
        Ok(())
    }
}
