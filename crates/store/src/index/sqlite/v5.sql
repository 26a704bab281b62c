-- Images with both sides of 16 or less were written as HTJ2K with levels that halve no side, which today's viewers can't decode, and
-- what was received as HTJ2K Lossless RPCL was not always looked into: these wait again.

UPDATE jobs SET state = 0, run = NULL WHERE state IN (2, 3) AND instance IN (
    SELECT i.id FROM instances i JOIN objects o ON o.id = i.object
    WHERE o.syntax IN ('1.2.840.10008.1.2.4.201', '1.2.840.10008.1.2.4.202', '1.2.840.10008.1.2.4.203')
    AND (json_extract(o.facts, '$.rows') <= 16 AND json_extract(o.facts, '$.columns') <= 16
        OR jobs.state = 3 AND o.syntax = '1.2.840.10008.1.2.4.202')
);
