-- Texts that are matched (columns without _json) are normalised; those that are shown are in the JSON as they came.
-- `common` holds the attributes a query returns always, `more` those it returns on request.

CREATE TABLE studies (
    id          INTEGER PRIMARY KEY,
    uid         TEXT NOT NULL UNIQUE,
    date        TEXT NOT NULL,
    time        TEXT NOT NULL,
    accession   TEXT NOT NULL,
    patient_id  TEXT NOT NULL,
    birth_date  TEXT NOT NULL,
    sex         TEXT NOT NULL,
    study_id    TEXT NOT NULL,
    description TEXT NOT NULL,
    modalities  TEXT NOT NULL DEFAULT '', -- sorted, separated by a backslash
    series      INTEGER NOT NULL DEFAULT 0,
    instances   INTEGER NOT NULL DEFAULT 0,
    version     INTEGER NOT NULL DEFAULT 1,
    common      TEXT NOT NULL,
    more        TEXT NOT NULL
) STRICT;
CREATE INDEX studies_date ON studies (date DESC, id DESC);
CREATE INDEX studies_patient ON studies (patient_id);
CREATE INDEX studies_accession ON studies (accession);
CREATE INDEX studies_description ON studies (description);

-- One row for each component group of a person name.
CREATE TABLE names (
    tag   INTEGER NOT NULL,
    text  TEXT NOT NULL,
    study INTEGER NOT NULL REFERENCES studies,
    PRIMARY KEY (tag, text, study)
) STRICT, WITHOUT ROWID;

CREATE TABLE study_modalities (
    modality TEXT NOT NULL,
    study    INTEGER NOT NULL REFERENCES studies,
    PRIMARY KEY (modality, study)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    study       INTEGER NOT NULL REFERENCES studies,
    uid         TEXT NOT NULL,
    modality    TEXT NOT NULL,
    number      INTEGER,
    description TEXT NOT NULL,
    body_part   TEXT NOT NULL,
    pps_date    TEXT NOT NULL,
    pps_time    TEXT NOT NULL,
    step_id     TEXT NOT NULL,
    procedure_id TEXT NOT NULL,
    instances   INTEGER NOT NULL DEFAULT 0,
    version     INTEGER NOT NULL DEFAULT 1,
    common      TEXT NOT NULL,
    more        TEXT NOT NULL,
    UNIQUE (study, uid)
) STRICT;
CREATE INDEX series_uid ON series (uid);
CREATE INDEX series_modality ON series (modality);

CREATE TABLE instances (
    id       INTEGER PRIMARY KEY,
    series   INTEGER NOT NULL REFERENCES series,
    uid      TEXT NOT NULL,
    class    TEXT NOT NULL,
    number   INTEGER,
    object   INTEGER NOT NULL REFERENCES objects DEFERRABLE INITIALLY DEFERRED, -- handed out
    received INTEGER NOT NULL REFERENCES objects DEFERRABLE INITIALLY DEFERRED, -- as it came
    common   TEXT NOT NULL,
    more     TEXT NOT NULL,
    UNIQUE (series, uid)
) STRICT;
CREATE INDEX instances_uid ON instances (uid);
CREATE INDEX instances_number ON instances (series, number, id);

-- role: 0 received, 1 converted, 2 received under the UIDs of another and kept beside it
CREATE TABLE objects (
    id       INTEGER PRIMARY KEY,
    key      BLOB NOT NULL UNIQUE,
    instance INTEGER NOT NULL REFERENCES instances DEFERRABLE INITIALLY DEFERRED,
    role     INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    syntax   TEXT NOT NULL,
    stored   INTEGER NOT NULL,
    facts    TEXT NOT NULL,
    frames   BLOB NOT NULL
) STRICT;
CREATE INDEX objects_instance ON objects (instance);

-- state: 0 waits, 1 leased, 2 converted, 3 kept, 4 failed
CREATE TABLE jobs (
    instance INTEGER PRIMARY KEY REFERENCES instances,
    state    INTEGER NOT NULL DEFAULT 0,
    run      TEXT,
    until    INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    policy   TEXT,
    rule     TEXT,
    reason   TEXT,
    changed  INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_state ON jobs (state, instance);

CREATE TABLE evidence (
    id             INTEGER PRIMARY KEY,
    instance       INTEGER NOT NULL REFERENCES instances,
    from_object    INTEGER NOT NULL REFERENCES objects,
    to_object      INTEGER NOT NULL REFERENCES objects,
    policy         TEXT NOT NULL,
    rule           TEXT NOT NULL,
    codec          TEXT NOT NULL,
    samples_sha256 TEXT NOT NULL,
    made           INTEGER NOT NULL,
    host           TEXT NOT NULL,
    milliseconds   INTEGER NOT NULL,
    frames         BLOB NOT NULL -- JSON, gzip
) STRICT;
CREATE INDEX evidence_instance ON evidence (instance);

CREATE TABLE prepared (
    series  INTEGER PRIMARY KEY REFERENCES series,
    version INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    sha256  BLOB NOT NULL,
    deflate BLOB NOT NULL
) STRICT;

-- Counts that are asked for often, kept by the triggers below: objects and bytes by role, jobs by state.
CREATE TABLE totals (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO totals (name) VALUES ('studies'), ('series'), ('instances'), ('objects0'), ('objects1'), ('objects2'),
    ('bytes0'), ('bytes1'), ('bytes2'), ('jobs0'), ('jobs1'), ('jobs2'), ('jobs3'), ('jobs4');

CREATE TRIGGER studies_counted AFTER INSERT ON studies BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'studies';
END;
CREATE TRIGGER series_counted AFTER INSERT ON series BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'series';
END;
CREATE TRIGGER instances_counted AFTER INSERT ON instances BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'instances';
END;
CREATE TRIGGER objects_counted AFTER INSERT ON objects BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'objects' || new.role;
    UPDATE totals SET value = value + new.bytes WHERE name = 'bytes' || new.role;
END;
CREATE TRIGGER jobs_counted AFTER INSERT ON jobs BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'jobs' || new.state;
END;
CREATE TRIGGER jobs_moved AFTER UPDATE OF state ON jobs WHEN old.state <> new.state BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'jobs' || old.state;
    UPDATE totals SET value = value + 1 WHERE name = 'jobs' || new.state;
END;
