-- What is kept and not served: objects that can't be read, or that are no instance of a study. kind: 0 can't be read, 1 kept;
-- source: the path it came from, as bytes. The same bytes from two places are two rows and one object.
CREATE TABLE unserved (
    id     INTEGER PRIMARY KEY,
    key    BLOB NOT NULL,
    bytes  INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    source BLOB NOT NULL,
    reason TEXT NOT NULL,
    stored INTEGER NOT NULL,
    UNIQUE (key, source)
) STRICT;

INSERT INTO totals (name) VALUES ('unserved'), ('unserved_bytes');

CREATE TRIGGER unserved_counted AFTER INSERT ON unserved BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'unserved';
    UPDATE totals SET value = value + new.bytes WHERE name = 'unserved_bytes';
END;
CREATE TRIGGER unserved_served AFTER DELETE ON unserved BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'unserved';
    UPDATE totals SET value = value - old.bytes WHERE name = 'unserved_bytes';
END;
