//! The schema of the index, and the steps from each version to the next.

use rusqlite::Connection;

use super::checksum;
use super::refold::refold;
use crate::Error;

/// Step `n` brings a database of `user_version` n to n + 1. Steps are never changed once released.
const STEPS: &[&str] = &[
    include_str!("v1.sql"),
    include_str!("v2.sql"),
    include_str!("v3.sql"),
    include_str!("v4.sql"),
    include_str!("v5.sql"),
    include_str!("v6.sql"),
    include_str!("v7.sql"),
    include_str!("v8.sql"),
    include_str!("v9.sql"),
    include_str!("v10.sql"),
    include_str!("v11.sql"),
    include_str!("v12.sql"),
    include_str!("v13.sql"),
    include_str!("v14.sql"),
    include_str!("v15.sql"),
    include_str!("v16.sql"),
];

/// The version since which texts are folded as [`fold`](crate::index::fold) does it now; older ones are folded anew.
const FOLDED_SINCE: i64 = 6;

/// Brings the schema up to date in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let known = STEPS.len() as i64;
    if version(connection)? == known {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Read again: another process may have been faster.
    let found = version(&transaction)?;
    let Some(steps) = usize::try_from(found).ok().and_then(|done| STEPS.get(done..)) else {
        return Err(Error::Newer { found, known });
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    if found < FOLDED_SINCE {
        refold(&transaction)?;
    }
    checksum::seal(&transaction)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, Error> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_database_becomes_current_and_stays_so() {
        let mut connection = Connection::open_in_memory().unwrap();
        checksum::register(&connection).unwrap();
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), STEPS.len() as i64);
        migrate(&mut connection).unwrap();
    }

    #[test]
    fn every_version_becomes_current_with_what_it_holds() {
        for old in 1..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            STEPS[..old].iter().for_each(|step| connection.execute_batch(step).unwrap());
            connection.pragma_update(None, "user_version", old as i64).unwrap();
            connection
                .execute_batch(
                    "PRAGMA foreign_keys = OFF; INSERT INTO jobs (instance, changed) VALUES (1, 0); UPDATE totals SET value = 7 WHERE name = 'bytes0'",
                )
                .unwrap();
            checksum::register(&connection).unwrap();
            migrate(&mut connection).unwrap();
            assert_eq!(version(&connection).unwrap(), STEPS.len() as i64);
            let total = |name| {
                let sql = "SELECT value FROM totals WHERE name = ?";
                connection.query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap()
            };
            assert_eq!((total("bytes0"), total("jobs0"), total("residue_bytes")), (7, 1, 0));
        }
    }

    #[test]
    fn one_of_the_first_version_gets_its_sums_with_its_rows() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute("INSERT INTO names VALUES (1, 'A^B', 1)", []).unwrap_err(); // no such study
        connection.execute("INSERT INTO study_modalities VALUES ('CT', 1)", []).unwrap_err();
        let study = r#"INSERT INTO studies (id, uid, date, time, accession, patient_id, birth_date, sex, study_id, description, common, more)
             VALUES (1, '1.2', '', '', '', '', '', '', '', '', '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}}', '{}')"#;
        connection.execute(study, []).unwrap();
        connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
        connection.execute("INSERT INTO names VALUES (1, 'A^B', 1)", []).unwrap();
        checksum::register(&connection).unwrap();
        migrate(&mut connection).unwrap();
        for table in checksum::tables(&connection).unwrap() {
            let sql = format!("SELECT count(*) FROM {} t WHERE sum IS NOT {}", table.name, table.expression("t"));
            assert_eq!(connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{}", table.name);
        }
        let sums = |c: &Connection| c.query_row("SELECT sum FROM names", [], |r| r.get::<_, Vec<u8>>(0)).unwrap();
        let before = sums(&connection);
        connection.execute("UPDATE names SET text = 'A^C'", []).unwrap();
        assert_ne!(before, sums(&connection));
    }

    #[test]
    fn a_newer_one_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut connection).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
        assert_eq!(tables, 0);
    }
}
