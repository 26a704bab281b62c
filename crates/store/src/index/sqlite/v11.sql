-- Who may come in: users, and the SHA-256 of secrets by which they are known. Labels say who may see a study.

CREATE TABLE users (
    name     TEXT PRIMARY KEY,
    password TEXT, -- PHC string; none: no sign-in by password
    grants   TEXT NOT NULL,
    made     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    INTEGER NOT NULL,
    hash    BLOB NOT NULL UNIQUE,
    name    TEXT NOT NULL,
    owner   TEXT NOT NULL,
    grants  TEXT NOT NULL,
    made    INTEGER NOT NULL,
    seen    INTEGER NOT NULL,
    expires INTEGER,
    uses    INTEGER -- left
) STRICT;
CREATE INDEX secrets_owner ON secrets (owner, kind);
CREATE INDEX secrets_expires ON secrets (expires);

-- By UID: a label outlives the rows of its study, and is there when the study comes back.
CREATE TABLE study_labels (
    label TEXT NOT NULL,
    study TEXT NOT NULL,
    PRIMARY KEY (label, study)
) STRICT, WITHOUT ROWID;
CREATE INDEX study_labels_study ON study_labels (study);
