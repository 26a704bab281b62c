-- The feed of changes. Of an instance its number is kept, of what went and came back the UIDs: one row may be of a whole study.
-- kind: 0 stored, 1 converted, 2 deleted, 3 restored, 4 corrected
CREATE TABLE changes (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    instance INTEGER,
    study    TEXT,
    series   TEXT,
    sop      TEXT
) STRICT;
CREATE INDEX changes_study ON changes (study) WHERE study IS NOT NULL;
