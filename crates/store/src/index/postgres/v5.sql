-- The feed of changes. Of an instance its number is kept, of what went and came back the UIDs: one row may be of a whole study.
-- kind: 0 stored, 1 converted, 2 deleted, 3 restored, 4 corrected. Numbers are given under the lock of a commit (later.rs), so that none comes
-- below one that was seen.
CREATE TABLE firstlight.changes (
    id       bigint PRIMARY KEY,
    at       bigint NOT NULL,
    kind     bigint NOT NULL,
    instance bigint,
    study    text COLLATE "C",
    series   text COLLATE "C",
    sop      text COLLATE "C",
    sum      bytea
);
CREATE INDEX changes_study ON firstlight.changes (study) WHERE study IS NOT NULL;
