-- What a migration has found, and what became of it. A row is final once `state` is not 0.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    walked INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a walk has still to enter: folders, or studies of a server. `identity` ends loops of links.
CREATE TABLE folders (
    id       INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL REFERENCES sources,
    path     BLOB NOT NULL,
    relative BLOB NOT NULL,
    identity BLOB NOT NULL,
    walked   INTEGER NOT NULL DEFAULT 0,
    UNIQUE (source, identity)
) STRICT;
CREATE INDEX folders_left ON folders (source, id) WHERE walked = 0;

-- kind: 0 file, 1 entry of a zip, 2 entry of a tar, 3 entry of a compressed stream, 4 instance of a server, 5 of this archive's backlog,
-- 6 file that a DICOMDIR names, 7 entry of a zip that is cut short
-- part: number (zip, stream) or offset (tar, cut zip) of an entry
-- state: 0 waits, 1 converted, 2 kept, 3 can't be read, 4 skipped, 5 failed
CREATE TABLE items (
    id       INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL REFERENCES sources,
    kind     INTEGER NOT NULL,
    path     BLOB NOT NULL,
    part     INTEGER NOT NULL,
    name     BLOB NOT NULL, -- of an entry
    place    BLOB,          -- below the destination; null where study and series say it
    bytes    INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    modality TEXT NOT NULL,
    syntax   TEXT NOT NULL,
    date     INTEGER NOT NULL, -- 20260131; 0 unknown
    rank     INTEGER NOT NULL, -- taken in this order
    state    INTEGER NOT NULL DEFAULT 0,
    became   BLOB,             -- the file that was written
    reason   TEXT,
    saved    INTEGER NOT NULL DEFAULT 0,
    seconds  REAL NOT NULL DEFAULT 0,
    UNIQUE (path, part)
) STRICT;
CREATE INDEX items_waiting ON items (rank, id) WHERE state = 0;
CREATE UNIQUE INDEX items_place ON items (place) WHERE place IS NOT NULL;

CREATE TABLE samples (
    item      INTEGER PRIMARY KEY REFERENCES items,
    bytes_out INTEGER NOT NULL,
    seconds   REAL NOT NULL
) STRICT;
