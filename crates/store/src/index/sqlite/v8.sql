-- What is prepared has the addresses that its clients get: `root` is what they begin with, as JSON text. Empty: relative ones.
CREATE TABLE rooted (
    series  INTEGER PRIMARY KEY REFERENCES series,
    version INTEGER NOT NULL,
    bytes   INTEGER NOT NULL,
    crc     INTEGER NOT NULL,
    sha256  BLOB NOT NULL,
    deflate BLOB NOT NULL,
    root    TEXT NOT NULL
) STRICT;
INSERT INTO rooted SELECT series, version, bytes, crc, sha256, deflate, '' FROM prepared;
DROP TABLE prepared;
ALTER TABLE rooted RENAME TO prepared;
