-- Searches for Manufacturer and Content Date go by an index on what is told as JSON (statement.rs spells both the same way). A row whose JSON
-- is damaged has neither.
CREATE INDEX IF NOT EXISTS series_manufacturer
    ON series (substr(CASE WHEN json_valid(more) THEN coalesce(json_extract(more, '$."00080070".Value[0]'), '') ELSE '' END, 1, 200));
CREATE INDEX IF NOT EXISTS instances_content_date
    ON instances (replace(substr(CASE WHEN json_valid(more) THEN coalesce(json_extract(more, '$."00080023".Value[0]'), '') ELSE '' END, 1, 200), '.', ''));
