-- What is scheduled (the worklist of modalities), and what these say that they perform: DICOM JSON, and what it is found by.

CREATE TABLE firstlight.scheduled (
    study text COLLATE "C" NOT NULL,
    step  text COLLATE "C" NOT NULL,
    day   text COLLATE "C" NOT NULL, -- YYYYMMDD
    item  text COLLATE "C" NOT NULL,
    sum   bytea,
    PRIMARY KEY (study, step)
);
CREATE INDEX scheduled_day ON firstlight.scheduled (day);

CREATE TABLE firstlight.performed (
    uid     text COLLATE "C" PRIMARY KEY,
    changed bigint NOT NULL,
    item    text COLLATE "C" NOT NULL,
    sum     bytea
);
CREATE INDEX performed_changed ON firstlight.performed (changed);
