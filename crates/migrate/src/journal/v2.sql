-- The way back of what was converted, and what samples tell of it.
-- way: null nothing is kept or asked for; -1 there is no way back; else the bytes of the residue
ALTER TABLE items ADD COLUMN way INTEGER;
-- said: 0 converted or kept, 1 converted without a way back, 2 can't be read
ALTER TABLE samples ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
