-- role 3: received under the UIDs of another, and decided about: kept beside it, and on no list.
INSERT OR IGNORE INTO totals (name) VALUES ('objects3'), ('bytes3');
