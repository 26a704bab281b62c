//! What somebody decides of instances.

use super::engine::Postgres;
use super::register::{BESIDE, SETTLED};
use super::task::Group;
use super::values::{NOW, Text, get};
use crate::Error;
use crate::index::amend::{Amending, Chosen};
use crate::index::changes::ChangeKind;
use crate::index::key::InstanceKey;
use crate::index::register::NewInstance;
use crate::objects::Key;

impl Amending for Postgres {
    fn try_again(&self, key: &InstanceKey) -> Result<bool, Error> {
        let key = key.clone();
        let sql = format!(
            "UPDATE jobs SET state = 0, run = NULL, attempts = 0, changed = {NOW} WHERE state = 4 AND instance IN \
             (SELECT i.id FROM studies s JOIN series e ON e.study = s.id JOIN instances i ON i.series = e.id \
             WHERE s.uid = $1 AND e.uid = $2 AND i.uid = $3)"
        );
        self.write(move |group| {
            let again = group.execute(&sql, &[&key.study, &key.series, &key.sop])?;
            group.later().moved(4, 0, again);
            Ok(again == 1)
        })
    }

    fn settle(&self, object: &Key) -> Result<bool, Error> {
        let object = *object;
        self.alone(move |group| {
            let row = group.row("SELECT id FROM objects WHERE key = $1 AND role = $2", &[&name(&object), &BESIDE])?;
            let Some(row) = row else { return Ok(false) };
            give_role(group, get(&row, 0)?, SETTLED)?;
            Ok(true)
        })
    }

    fn hand_out(&self, new: NewInstance) -> Result<Chosen, Error> {
        self.alone(move |group| hand_out(group, &new))
    }
}

fn hand_out(group: &Group<'_>, new: &NewInstance) -> Result<Chosen, Error> {
    let sql = "SELECT o.id, o.instance, i.received, i.series, e.study, w.released IS NOT NULL, j.state FROM objects o \
         JOIN instances i ON i.id = o.instance JOIN series e ON e.id = i.series JOIN jobs j ON j.instance = i.id \
         LEFT JOIN ways_back w ON w.original = o.id WHERE o.key = $1 AND o.role IN (2, 3) FOR UPDATE OF j";
    let Some(row) = group.row(sql, &[&name(&new.object.key)])? else { return Ok(Chosen::Unknown) };
    if get(&row, 5)? {
        return Ok(Chosen::Released);
    }
    let (object, instance, before): (i64, i64, i64) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    give_role(group, before, SETTLED)?;
    give_role(group, object, 0)?;
    // What is told of the time is never earlier than before.
    group.execute(&format!("UPDATE objects SET stored = {NOW} WHERE id = $1"), &[&object])?;
    let shown = &new.instance_shown;
    let sql = "UPDATE instances SET object = $1, received = $1, class = $2, number = $3, common = $4, more = $5 WHERE id = $6";
    let (common, more) = (Text(&shown.common), Text(&shown.more));
    group.execute(sql, &[&object, &Text(&new.class), &new.instance_number, &common, &more, &instance])?;
    let sql = format!(
        "UPDATE jobs SET state = 0, run = NULL, until = NULL, attempts = 0, policy = NULL, rule = NULL, reason = NULL, \
         changed = {NOW} WHERE instance = $1"
    );
    group.execute(&sql, &[&instance])?;
    let mut later = group.later();
    later.moved(get(&row, 6)?, 0, 1);
    later.touch(get(&row, 4)?, get(&row, 3)?, 0);
    later.tell(ChangeKind::Corrected, instance);
    Ok(Chosen::Done)
}

/// Gives an object another role, and counts it there.
fn give_role(group: &Group<'_>, object: i64, role: i64) -> Result<(), Error> {
    let before = group.one("SELECT role, bytes FROM objects WHERE id = $1", &[&object])?;
    let (from, bytes): (i64, i64) = (get(&before, 0)?, get(&before, 1)?);
    group.execute("UPDATE objects SET role = $1 WHERE id = $2", &[&role, &object])?;
    let mut later = group.later();
    for (role, by) in [(from, -1), (role, 1)] {
        later.count(format!("objects{role}"), by);
        later.count(format!("bytes{role}"), by * bytes);
    }
    Ok(())
}

fn name(object: &Key) -> &[u8] {
    object.as_bytes().as_slice()
}
