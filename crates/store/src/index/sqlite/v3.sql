-- Proof and quality. Beside these tables, this version gives every row of every table a sum (see checksum.rs).

-- Frames by what a second decoder said of them; class: JSON
CREATE TABLE opinions (
    class     TEXT PRIMARY KEY,
    agreed    INTEGER NOT NULL,
    disagreed INTEGER NOT NULL,
    without   INTEGER NOT NULL,
    not_asked INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counters of conversion that only grow.
CREATE TABLE figures (
    name     TEXT NOT NULL,
    modality TEXT NOT NULL,
    detail   TEXT NOT NULL,
    value    INTEGER NOT NULL,
    PRIMARY KEY (name, modality, detail)
) STRICT, WITHOUT ROWID;

-- Passes of the scrubber; cursor: the object that was looked at last.
CREATE TABLE scrubs (
    id      INTEGER PRIMARY KEY,
    began   INTEGER NOT NULL,
    ended   INTEGER,
    changed INTEGER NOT NULL,
    cursor  INTEGER NOT NULL,
    objects INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;

-- What the scrubber found, until it finds it healthy again.
CREATE TABLE faults (
    kind  TEXT NOT NULL,
    name  TEXT NOT NULL,
    study TEXT,
    series TEXT,
    sop   TEXT,
    what  TEXT NOT NULL,
    found INTEGER NOT NULL,
    scrub INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX evidence_to ON evidence (to_object);
