//! Users, secrets and labels.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};

use super::engine::Sqlite;
use super::values::now;
use crate::Error;
use crate::index::access::{Accounts, NewSecret, SecretKind, SecretRow, StudyFacts, UserRow};

const SECRET: &str = "SELECT id, kind, hash, name, owner, grants, made, seen, expires, uses FROM secrets";

impl Accounts for Sqlite {
    fn put_user(&self, user: UserRow) -> Result<bool, Error> {
        self.write(move |index| {
            let known = index.prepare_cached("SELECT 1 FROM users WHERE name = ?")?.exists([&user.name])?;
            let sql = "INSERT INTO users (name, password, grants, made) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (name) DO UPDATE SET password = excluded.password, grants = excluded.grants";
            let row = params![user.name, user.password, user.grants, now()];
            index.prepare_cached(sql)?.execute(row)?;
            Ok(!known)
        })
    }

    fn user(&self, name: &str) -> Result<Option<UserRow>, Error> {
        let sql = "SELECT name, password, grants, made FROM users WHERE name = ?";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_row([name], user).optional()?))
    }

    fn users(&self) -> Result<Vec<UserRow>, Error> {
        let sql = "SELECT name, password, grants, made FROM users ORDER BY name";
        self.read(|snapshot| Ok(snapshot.prepare_cached(sql)?.query_map([], user)?.collect::<Result<_, _>>()?))
    }

    fn remove_user(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.write(move |index| {
            index.prepare_cached("DELETE FROM secrets WHERE owner = ?")?.execute([&name])?;
            Ok(index.prepare_cached("DELETE FROM users WHERE name = ?")?.execute([&name])? > 0)
        })
    }

    fn add_secret(&self, new: NewSecret) -> Result<i64, Error> {
        let sql = "INSERT INTO secrets (kind, hash, name, owner, grants, made, seen, expires, uses) \
             VALUES (?, ?, ?, ?, ?, ?6, ?6, ?, ?)";
        self.write(move |index| {
            let row =
                params![new.kind.number(), new.hash, new.name, new.owner, new.grants, now(), new.expires, new.uses];
            index.prepare_cached(sql)?.execute(row)?;
            Ok(index.last_insert_rowid())
        })
    }

    fn secret(&self, hash: &[u8; 32]) -> Result<Option<SecretRow>, Error> {
        let sql = format!("{SECRET} WHERE hash = ?");
        self.read(|snapshot| Ok(snapshot.prepare_cached(&sql)?.query_row([hash], secret).optional()?))
    }

    fn secrets(&self, kind: SecretKind) -> Result<Vec<SecretRow>, Error> {
        let sql = format!("{SECRET} WHERE kind = ? ORDER BY id");
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(&sql)?;
            Ok(statement.query_map([kind.number()], secret)?.collect::<Result<_, _>>()?)
        })
    }

    fn use_secret(&self, hash: &[u8; 32]) -> Result<bool, Error> {
        let hash = *hash;
        let sql = "UPDATE secrets SET uses = uses - 1, seen = ?1 \
             WHERE hash = ?2 AND (expires IS NULL OR expires > ?1) AND (uses IS NULL OR uses > 0)";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute(params![now(), hash])? > 0))
    }

    fn see_secret(&self, hash: &[u8; 32], now: i64) -> Result<(), Error> {
        let hash = *hash;
        let sql = "UPDATE secrets SET seen = max(seen, ?) WHERE hash = ?";
        self.write(move |index| {
            index.prepare_cached(sql)?.execute(params![now, hash])?;
            Ok(())
        })
    }

    fn revoke_secret(&self, kind: SecretKind, id: i64) -> Result<bool, Error> {
        self.write(move |index| {
            let sql = "DELETE FROM secrets WHERE kind = ? AND id = ?";
            let gone = index.prepare_cached(sql)?.execute(params![kind.number(), id])?;
            if kind == SecretKind::Share {
                let opened = params![SecretKind::Opened.number(), id.to_string()];
                index.prepare_cached("DELETE FROM secrets WHERE kind = ? AND owner = ?")?.execute(opened)?;
            }
            Ok(gone > 0)
        })
    }

    fn revoke_secrets_of(&self, kind: SecretKind, owner: &str, but: Option<[u8; 32]>) -> Result<u64, Error> {
        let owner = owner.to_owned();
        let sql = "DELETE FROM secrets WHERE kind = ? AND owner = ? AND hash IS NOT ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute(params![kind.number(), owner, but])? as u64))
    }

    fn forget_ended(&self, before: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM secrets WHERE expires < ?";
        self.write(move |index| Ok(index.prepare_cached(sql)?.execute([before])? as u64))
    }

    fn has_accounts(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM secrets WHERE kind = ?)";
        self.read(|snapshot| {
            Ok(snapshot.prepare_cached(sql)?.query_row([SecretKind::Key.number()], |row| row.get(0))?)
        })
    }

    fn study_facts(&self, study: &str) -> Result<Option<StudyFacts>, Error> {
        let sql = "SELECT s.patient_id, coalesce(json_extract(s.more, '$.\"00100021\".Value[0]'), ''), s.modalities, \
             (SELECT group_concat(label, '\\') FROM (SELECT label FROM study_labels WHERE study = s.uid ORDER BY label)) \
             FROM studies s WHERE s.uid = ?";
        self.read(|snapshot| {
            let mut statement = snapshot.prepare_cached(sql)?;
            let facts = statement.query_row([study], |row| {
                Ok(StudyFacts {
                    study: study.to_owned(),
                    patient: row.get(0)?,
                    issuer: row.get(1)?,
                    modalities: words(&row.get::<_, String>(2)?),
                    labels: words(&row.get::<_, Option<String>>(3)?.unwrap_or_default()),
                })
            });
            Ok(facts.optional()?)
        })
    }

    fn label_study(&self, study: &str, label: &str, has: bool) -> Result<bool, Error> {
        let (study, label) = (study.to_owned(), label.to_owned());
        self.write(move |index| {
            if !index.prepare_cached("SELECT 1 FROM studies WHERE uid = ?")?.exists([&study])? {
                return Ok(false);
            }
            let sql = match has {
                true => "INSERT OR IGNORE INTO study_labels (label, study) VALUES (?, ?)",
                false => "DELETE FROM study_labels WHERE label = ? AND study = ?",
            };
            index.prepare_cached(sql)?.execute(params![label, study])?;
            Ok(true)
        })
    }
}

fn user(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow { name: row.get(0)?, password: row.get(1)?, grants: row.get(2)?, made: row.get(3)? })
}

fn secret(row: &Row<'_>) -> rusqlite::Result<SecretRow> {
    let kind = row.get(1)?;
    let unknown = || rusqlite::Error::FromSqlConversionFailure(1, Type::Integer, "no such kind of secret".into());
    Ok(SecretRow {
        id: row.get(0)?,
        made: row.get(6)?,
        seen: row.get(7)?,
        secret: NewSecret {
            kind: SecretKind::of(kind).ok_or_else(unknown)?,
            hash: row.get(2)?,
            name: row.get(3)?,
            owner: row.get(4)?,
            grants: row.get(5)?,
            expires: row.get(8)?,
            uses: row.get(9)?,
        },
    })
}

/// Words that are kept with a backslash between.
fn words(text: &str) -> Vec<String> {
    text.split('\\').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
