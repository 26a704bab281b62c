-- What waits again is found without a look at what does not: failures that may pass by the time of their next try, and the policy under
-- which all that was kept or failed for good was decided (at most one row).
CREATE INDEX jobs_next_try ON jobs (changed + (30 << min(attempts, 7))) WHERE state = 4 AND policy IS NULL;

CREATE TABLE settled (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    policy TEXT NOT NULL
) STRICT;
