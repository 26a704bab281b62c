-- Who may come in: users, and the SHA-256 of secrets by which they are known. Labels say who may see a study.

CREATE TABLE firstlight.users (
    name     text COLLATE "C" PRIMARY KEY,
    password text COLLATE "C", -- PHC string; none: no sign-in by password
    grants   text COLLATE "C" NOT NULL,
    made     bigint NOT NULL,
    sum      bytea
);

CREATE TABLE firstlight.secrets (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind    bigint NOT NULL,
    hash    bytea NOT NULL UNIQUE,
    name    text COLLATE "C" NOT NULL,
    owner   text COLLATE "C" NOT NULL,
    grants  text COLLATE "C" NOT NULL,
    made    bigint NOT NULL,
    seen    bigint NOT NULL,
    expires bigint,
    uses    bigint, -- left
    sum     bytea
);
CREATE INDEX secrets_owner ON firstlight.secrets (owner, kind);
CREATE INDEX secrets_expires ON firstlight.secrets (expires);

-- By UID: a label outlives the rows of its study, and is there when the study comes back.
CREATE TABLE firstlight.study_labels (
    label text COLLATE "C" NOT NULL,
    study text COLLATE "C" NOT NULL,
    sum   bytea,
    PRIMARY KEY (label, study)
);
CREATE INDEX study_labels_study ON firstlight.study_labels (study);
