-- A count of the changes to what is handed out: whoever knows where an instance's bytes are knows it as long as this is the same.
INSERT OR IGNORE INTO totals (name) VALUES ('handed_out');

CREATE TRIGGER IF NOT EXISTS instances_handed_out AFTER UPDATE OF series, uid, object ON instances WHEN old.object <> 0 BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'handed_out';
END;
CREATE TRIGGER IF NOT EXISTS instances_withdrawn AFTER DELETE ON instances BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'handed_out';
END;
CREATE TRIGGER IF NOT EXISTS objects_handed_out AFTER UPDATE OF key, bytes, syntax, facts, frames ON objects BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'handed_out';
END;
