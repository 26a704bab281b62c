//! Where the objects of an index are, kept in the index: every node that has it open finds them there, and none begins a second store.

use super::engine::Postgres;
use super::unusable::Unusable;
use super::values::{Text, get};
use crate::Error;

impl Postgres {
    /// Says where the objects of this index are, unless it was said before; an error when that is another place.
    pub fn settle_objects(&self, at: &str) -> Result<(), Unusable> {
        let sql = "INSERT INTO about (name, value) VALUES ('objects', $1) ON CONFLICT DO NOTHING";
        if self.objects_at()?.is_none() {
            let wanted = at.to_owned();
            self.write(move |group| group.execute(sql, &[&Text(&wanted)]))?;
        }
        match self.objects_at()? {
            Some(told) if told != at => Err(Unusable::OtherObjects(told, at.to_owned())),
            _ => Ok(()),
        }
    }

    /// Where the objects of this index are, where that was said.
    pub fn objects_at(&self) -> Result<Option<String>, Error> {
        self.ask(|session| {
            let row = session.row("SELECT value FROM about WHERE name = 'objects'", &[])?;
            row.map(|row| get(&row, 0)).transpose()
        })
    }
}
