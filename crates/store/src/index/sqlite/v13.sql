-- What is scheduled (the worklist of modalities), and what these say that they perform: DICOM JSON, and what it is found by.

CREATE TABLE scheduled (
    study TEXT NOT NULL,
    step  TEXT NOT NULL,
    day   TEXT NOT NULL, -- YYYYMMDD
    item  TEXT NOT NULL,
    PRIMARY KEY (study, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX scheduled_day ON scheduled (day);

CREATE TABLE performed (
    uid     TEXT PRIMARY KEY,
    changed INTEGER NOT NULL,
    item    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX performed_changed ON performed (changed);
