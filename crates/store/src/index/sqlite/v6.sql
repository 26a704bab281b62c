-- Names are folded by another rule, and each knows the place of its component group: alphabetic 0, ideographic 1, phonetic 2.
-- They are made anew from what is shown (see refold.rs).
DROP TABLE names;
CREATE TABLE names (
    tag   INTEGER NOT NULL,
    text  TEXT NOT NULL,
    place INTEGER NOT NULL,
    study INTEGER NOT NULL REFERENCES studies,
    PRIMARY KEY (tag, text, place, study)
) STRICT, WITHOUT ROWID;
CREATE INDEX names_study ON names (study);
