//! Users, secrets and labels.

use tokio_postgres::Row;

use super::engine::Postgres;
use super::values::{NOW, Text, get};
use crate::Error;
use crate::index::access::{Accounts, NewSecret, SecretKind, SecretRow, StudyFacts, UserRow};

const SECRET: &str = "SELECT id, kind, hash, name, owner, grants, made, seen, expires, uses FROM secrets";

impl Accounts for Postgres {
    fn put_user(&self, user: UserRow) -> Result<bool, Error> {
        let sql = format!(
            "INSERT INTO users (name, password, grants, made) VALUES ($1, $2, $3, {NOW}) \
             ON CONFLICT (name) DO UPDATE SET password = excluded.password, grants = excluded.grants"
        );
        self.write(move |group| {
            let known = group.any("SELECT 1 FROM users WHERE name = $1", &[&Text(&user.name)])?;
            let password = user.password.as_deref().map(Text);
            group.execute(&sql, &[&Text(&user.name), &password, &Text(&user.grants)])?;
            Ok(!known)
        })
    }

    fn user(&self, name: &str) -> Result<Option<UserRow>, Error> {
        let sql = "SELECT name, password, grants, made FROM users WHERE name = $1";
        let row = self.ask(|session| session.row(sql, &[&Text(name)]))?;
        row.as_ref().map(user).transpose()
    }

    fn users(&self) -> Result<Vec<UserRow>, Error> {
        let sql = "SELECT name, password, grants, made FROM users ORDER BY name";
        self.ask(|session| session.rows(sql, &[]))?.iter().map(user).collect()
    }

    fn remove_user(&self, name: &str) -> Result<bool, Error> {
        let name = name.to_owned();
        self.write(move |group| {
            group.execute("DELETE FROM secrets WHERE owner = $1", &[&Text(&name)])?;
            Ok(group.execute("DELETE FROM users WHERE name = $1", &[&Text(&name)])? > 0)
        })
    }

    fn add_secret(&self, new: NewSecret) -> Result<i64, Error> {
        let sql = format!(
            "INSERT INTO secrets (kind, hash, name, owner, grants, made, seen, expires, uses) \
             VALUES ($1, $2, $3, $4, $5, {NOW}, {NOW}, $6, $7) RETURNING id"
        );
        self.write(move |group| {
            let (kind, hash, uses) = (new.kind.number(), new.hash.as_slice(), new.uses.map(i64::from));
            let texts = (Text(&new.name), Text(&new.owner), Text(&new.grants));
            get(&group.one(&sql, &[&kind, &hash, &texts.0, &texts.1, &texts.2, &new.expires, &uses])?, 0)
        })
    }

    fn secret(&self, hash: &[u8; 32]) -> Result<Option<SecretRow>, Error> {
        let sql = format!("{SECRET} WHERE hash = $1");
        let row = self.ask(|session| session.row(&sql, &[&hash.as_slice()]))?;
        row.as_ref().map(secret).transpose()
    }

    fn secrets(&self, kind: SecretKind) -> Result<Vec<SecretRow>, Error> {
        let sql = format!("{SECRET} WHERE kind = $1 ORDER BY id");
        self.ask(|session| session.rows(&sql, &[&kind.number()]))?.iter().map(secret).collect()
    }

    fn use_secret(&self, hash: &[u8; 32]) -> Result<bool, Error> {
        let hash = *hash;
        let sql = format!(
            "UPDATE secrets SET uses = uses - 1, seen = {NOW} \
             WHERE hash = $1 AND (expires IS NULL OR expires > {NOW}) AND (uses IS NULL OR uses > 0)"
        );
        self.write(move |group| Ok(group.execute(&sql, &[&hash.as_slice()])? > 0))
    }

    fn see_secret(&self, hash: &[u8; 32], now: i64) -> Result<(), Error> {
        let hash = *hash;
        let sql = "UPDATE secrets SET seen = greatest(seen, $1) WHERE hash = $2";
        self.write(move |group| group.execute(sql, &[&now, &hash.as_slice()]).map(drop))
    }

    fn revoke_secret(&self, kind: SecretKind, id: i64) -> Result<bool, Error> {
        self.write(move |group| {
            let sql = "DELETE FROM secrets WHERE kind = $1 AND id = $2";
            let gone = group.execute(sql, &[&kind.number(), &id])? > 0;
            if kind == SecretKind::Share {
                let sql = "DELETE FROM secrets WHERE kind = $1 AND owner = $2";
                group.execute(sql, &[&SecretKind::Opened.number(), &Text(&id.to_string())])?;
            }
            Ok(gone)
        })
    }

    fn revoke_secrets_of(&self, kind: SecretKind, owner: &str, but: Option<[u8; 32]>) -> Result<u64, Error> {
        let owner = owner.to_owned();
        let sql = "DELETE FROM secrets WHERE kind = $1 AND owner = $2 AND hash IS DISTINCT FROM $3::bytea";
        self.write(move |group| {
            let but = but.as_ref().map(<[u8; 32]>::as_slice);
            group.execute(sql, &[&kind.number(), &Text(&owner), &but])
        })
    }

    fn forget_ended(&self, before: i64) -> Result<u64, Error> {
        let sql = "DELETE FROM secrets WHERE expires < $1";
        self.write(move |group| group.execute(sql, &[&before]))
    }

    fn has_accounts(&self) -> Result<bool, Error> {
        let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM secrets WHERE kind = $1)";
        self.ask(|session| session.any(sql, &[&SecretKind::Key.number()]))
    }

    fn study_facts(&self, study: &str) -> Result<Option<StudyFacts>, Error> {
        let sql = "SELECT s.patient_id, coalesce(replace(s.more, '\\u0000', '\\ufffd')::json -> '00100021' -> 'Value' ->> 0, ''), s.modalities, \
             ARRAY(SELECT l.label FROM study_labels l WHERE l.study = s.uid ORDER BY l.label) \
             FROM studies s WHERE s.uid = $1";
        let Some(row) = self.ask(|session| session.row(sql, &[&Text(study)]))? else { return Ok(None) };
        let modalities: String = get(&row, 2)?;
        Ok(Some(StudyFacts {
            study: study.to_owned(),
            patient: get(&row, 0)?,
            issuer: get(&row, 1)?,
            modalities: modalities.split('\\').filter(|one| !one.is_empty()).map(str::to_owned).collect(),
            labels: get(&row, 3)?,
        }))
    }

    fn label_study(&self, study: &str, label: &str, has: bool) -> Result<bool, Error> {
        let (study, label) = (study.to_owned(), label.to_owned());
        self.write(move |group| {
            if !group.any("SELECT 1 FROM studies WHERE uid = $1", &[&Text(&study)])? {
                return Ok(false);
            }
            let sql = match has {
                true => "INSERT INTO study_labels (label, study) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                false => "DELETE FROM study_labels WHERE label = $1 AND study = $2",
            };
            group.execute(sql, &[&Text(&label), &Text(&study)])?;
            Ok(true)
        })
    }
}

fn user(row: &Row) -> Result<UserRow, Error> {
    Ok(UserRow { name: get(row, 0)?, password: get(row, 1)?, grants: get(row, 2)?, made: get(row, 3)? })
}

fn secret(row: &Row) -> Result<SecretRow, Error> {
    let damaged = |what: &str| Error::Damaged(format!("a secret in the index has {what}"));
    let hash: &[u8] = get(row, 2)?;
    let uses: Option<i64> = get(row, 9)?;
    Ok(SecretRow {
        id: get(row, 0)?,
        made: get(row, 6)?,
        seen: get(row, 7)?,
        secret: NewSecret {
            kind: SecretKind::of(get(row, 1)?).ok_or_else(|| damaged("no kind that is known"))?,
            hash: hash.try_into().map_err(|_| damaged("a hash of another length"))?,
            name: get(row, 3)?,
            owner: get(row, 4)?,
            grants: get(row, 5)?,
            expires: get(row, 8)?,
            uses: uses.map(u32::try_from).transpose().map_err(|_| damaged("a number of uses that is none"))?,
        },
    })
}
