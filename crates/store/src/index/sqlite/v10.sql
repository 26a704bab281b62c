-- Deletion. What is deleted leaves the tables that are searched, and lies in tables of the same columns until it is forgotten: no search grows by
-- it, and none can forget to leave it out. `removal` is the deletion that a row belongs to.

-- The highest number that rows had which went, so that none is given twice. versions: the highest of series and studies that went;
-- purges: how many ended; removals: how many there were.
CREATE TABLE numbers (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
INSERT INTO numbers (name) VALUES ('studies'), ('series'), ('instances'), ('objects'), ('evidence'), ('versions'),
    ('purges'), ('removals');

-- Deletions. purging: since when there is no way back; run, until: the lease of who deletes the objects. One without a study is of an object
-- that nobody came to list.
CREATE TABLE removals (
    id        INTEGER PRIMARY KEY,
    study     TEXT NOT NULL,
    series    TEXT,
    sop       TEXT,
    made      INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    purging   INTEGER,
    run       TEXT,
    until     INTEGER,
    instances INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;
CREATE INDEX removals_due ON removals (due);

-- Objects that are being deleted, and for a day those that were: number is that of the purge once it ended. Whoever put the same bytes
-- before that has not put them.
CREATE TABLE purged (
    key     BLOB PRIMARY KEY,
    removal INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    number  INTEGER,
    gone    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX purged_removal ON purged (removal);
CREATE INDEX purged_number ON purged (number);

-- Studies of which nothing may be deleted.
CREATE TABLE holds (
    study  TEXT PRIMARY KEY,
    made   INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Studies and series are copied with each deletion that is of a part of them: it can come back where they are gone.
CREATE TABLE removed_studies (
    removal     INTEGER NOT NULL REFERENCES removals,
    id          INTEGER NOT NULL,
    uid         TEXT NOT NULL,
    date        TEXT NOT NULL,
    time        TEXT NOT NULL,
    accession   TEXT NOT NULL,
    patient_id  TEXT NOT NULL,
    birth_date  TEXT NOT NULL,
    sex         TEXT NOT NULL,
    study_id    TEXT NOT NULL,
    description TEXT NOT NULL,
    modalities  TEXT NOT NULL,
    series      INTEGER NOT NULL,
    instances   INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    common      TEXT NOT NULL,
    more        TEXT NOT NULL,
    PRIMARY KEY (removal, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE removed_names (
    removal INTEGER NOT NULL REFERENCES removals,
    tag     INTEGER NOT NULL,
    text    TEXT NOT NULL,
    place   INTEGER NOT NULL,
    study   INTEGER NOT NULL,
    PRIMARY KEY (removal, tag, text, place, study)
) STRICT, WITHOUT ROWID;

CREATE TABLE removed_series (
    removal      INTEGER NOT NULL REFERENCES removals,
    id           INTEGER NOT NULL,
    study        INTEGER NOT NULL,
    uid          TEXT NOT NULL,
    modality     TEXT NOT NULL,
    number       INTEGER,
    description  TEXT NOT NULL,
    body_part    TEXT NOT NULL,
    pps_date     TEXT NOT NULL,
    pps_time     TEXT NOT NULL,
    step_id      TEXT NOT NULL,
    procedure_id TEXT NOT NULL,
    instances    INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    common       TEXT NOT NULL,
    more         TEXT NOT NULL,
    PRIMARY KEY (removal, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE removed_instances (
    removal  INTEGER NOT NULL REFERENCES removals,
    id       INTEGER PRIMARY KEY,
    series   INTEGER NOT NULL,
    uid      TEXT NOT NULL,
    class    TEXT NOT NULL,
    number   INTEGER,
    object   INTEGER NOT NULL,
    received INTEGER NOT NULL,
    common   TEXT NOT NULL,
    more     TEXT NOT NULL
) STRICT;
CREATE INDEX removed_instances_removal ON removed_instances (removal);

CREATE TABLE removed_objects (
    removal  INTEGER NOT NULL REFERENCES removals,
    id       INTEGER PRIMARY KEY,
    key      BLOB NOT NULL,
    instance INTEGER NOT NULL,
    role     INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    syntax   TEXT NOT NULL,
    stored   INTEGER NOT NULL,
    facts    TEXT NOT NULL,
    frames   BLOB NOT NULL
) STRICT;
CREATE INDEX removed_objects_removal ON removed_objects (removal);
CREATE INDEX removed_objects_instance ON removed_objects (instance);
CREATE INDEX removed_objects_key ON removed_objects (key);

CREATE TABLE removed_jobs (
    removal  INTEGER NOT NULL REFERENCES removals,
    instance INTEGER PRIMARY KEY,
    state    INTEGER NOT NULL,
    run      TEXT,
    until    INTEGER,
    attempts INTEGER NOT NULL,
    policy   TEXT,
    rule     TEXT,
    reason   TEXT,
    changed  INTEGER NOT NULL
) STRICT;
CREATE INDEX removed_jobs_removal ON removed_jobs (removal);

CREATE TABLE removed_evidence (
    removal        INTEGER NOT NULL REFERENCES removals,
    id             INTEGER PRIMARY KEY,
    instance       INTEGER NOT NULL,
    from_object    INTEGER NOT NULL,
    to_object      INTEGER NOT NULL,
    policy         TEXT NOT NULL,
    rule           TEXT NOT NULL,
    codec          TEXT NOT NULL,
    samples_sha256 TEXT NOT NULL,
    made           INTEGER NOT NULL,
    host           TEXT NOT NULL,
    milliseconds   INTEGER NOT NULL,
    frames         BLOB NOT NULL
) STRICT;
CREATE INDEX removed_evidence_removal ON removed_evidence (removal);
CREATE INDEX removed_evidence_instance ON removed_evidence (instance);

CREATE TABLE removed_ways_back (
    removal  INTEGER NOT NULL REFERENCES removals,
    original INTEGER PRIMARY KEY,
    object   INTEGER NOT NULL,
    made     INTEGER NOT NULL,
    reason   TEXT,
    residue  BLOB,
    released INTEGER,
    removed  INTEGER
) STRICT;
CREATE INDEX removed_ways_back_removal ON removed_ways_back (removal);

-- What goes is counted no more; what comes back is counted as when it was new.
CREATE TRIGGER studies_gone AFTER DELETE ON studies BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'studies';
END;
CREATE TRIGGER series_gone AFTER DELETE ON series BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'series';
END;
CREATE TRIGGER instances_gone AFTER DELETE ON instances BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'instances';
END;
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'objects' || old.role;
    UPDATE totals SET value = value - old.bytes WHERE name = 'bytes' || old.role;
END;
CREATE TRIGGER jobs_gone AFTER DELETE ON jobs BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'jobs' || old.state;
END;
-- Ways back go before the objects that they lead to, and come after them.
CREATE TRIGGER ways_back_gone AFTER DELETE ON ways_back BEGIN
    UPDATE totals SET value = value - (old.residue IS NOT NULL) WHERE name = 'ways_back';
    UPDATE totals SET value = value - coalesce(length(old.residue), 0) WHERE name = 'residue_bytes';
    UPDATE totals SET value = value - (old.released IS NOT NULL) WHERE name = 'released';
    UPDATE totals SET value = value - coalesce((SELECT bytes FROM objects WHERE id = old.original AND old.released IS NOT NULL), 0)
        WHERE name = 'released_bytes';
END;
CREATE TRIGGER ways_back_came_released AFTER INSERT ON ways_back WHEN new.released IS NOT NULL BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'released';
    UPDATE totals SET value = value + coalesce((SELECT bytes FROM objects WHERE id = new.original), 0)
        WHERE name = 'released_bytes';
END;
