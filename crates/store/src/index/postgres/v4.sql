-- Searches for Manufacturer and Content Date go by an index on what is told as JSON (statement.rs spells both the same way).
CREATE INDEX series_manufacturer
    ON firstlight.series (substr(coalesce(replace(more, '\u0000', '\ufffd')::jsonb -> '00080070' -> 'Value' ->> 0, ''), 1, 200));
CREATE INDEX instances_content_date
    ON firstlight.instances (replace(substr(coalesce(replace(more, '\u0000', '\ufffd')::jsonb -> '00080023' -> 'Value' ->> 0, ''), 1, 200), '.', ''));
