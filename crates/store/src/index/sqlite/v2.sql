-- What leads from a converted object back to the received one: its residue, or why there is none.
-- released: from then on the received object may be missing from the store; removed: when its file went.
CREATE TABLE ways_back (
    original INTEGER PRIMARY KEY REFERENCES objects,
    object   INTEGER NOT NULL REFERENCES objects,
    made     INTEGER NOT NULL,
    reason   TEXT,
    residue  BLOB,
    released INTEGER,
    removed  INTEGER,
    CHECK ((reason IS NULL) <> (residue IS NULL)),
    CHECK (released IS NULL OR residue IS NOT NULL)
) STRICT;
CREATE INDEX ways_back_held ON ways_back (original, made) WHERE residue IS NOT NULL AND released IS NULL;
CREATE INDEX ways_back_leaving ON ways_back (original) WHERE released IS NOT NULL AND removed IS NULL;

INSERT INTO totals (name) VALUES ('ways_back'), ('residue_bytes'), ('released'), ('released_bytes');

CREATE TRIGGER ways_back_counted AFTER INSERT ON ways_back WHEN new.residue IS NOT NULL BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'ways_back';
    UPDATE totals SET value = value + length(new.residue) WHERE name = 'residue_bytes';
END;
CREATE TRIGGER ways_back_made_anew AFTER UPDATE OF residue ON ways_back BEGIN
    UPDATE totals SET value = value + (new.residue IS NOT NULL) - (old.residue IS NOT NULL) WHERE name = 'ways_back';
    UPDATE totals SET value = value + coalesce(length(new.residue), 0) - coalesce(length(old.residue), 0)
        WHERE name = 'residue_bytes';
END;
CREATE TRIGGER ways_back_released AFTER UPDATE OF released ON ways_back
WHEN old.released IS NULL AND new.released IS NOT NULL BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'released';
    UPDATE totals SET value = value + (SELECT bytes FROM objects WHERE id = new.original) WHERE name = 'released_bytes';
END;
