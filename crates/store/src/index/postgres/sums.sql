-- The parts that the checksum of a row is over (`index/checksum.rs`): the kind of a value, its length and its bytes.

CREATE FUNCTION little(v bigint) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT int8send(((v & 255) << 56) | ((v >> 8 & 255) << 48) | ((v >> 16 & 255) << 40) | ((v >> 24 & 255) << 32)
        | ((v >> 32 & 255) << 24) | ((v >> 40 & 255) << 16) | ((v >> 48 & 255) << 8) | ((v >> 56 & 255) << 0))
$$;

CREATE FUNCTION part(v bigint) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v IS NULL THEN '\x000000000000000000'::bytea ELSE '\x010800000000000000'::bytea || firstlight.little(v) END
$$;

CREATE FUNCTION part(v text) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v IS NULL THEN '\x000000000000000000'::bytea
        ELSE '\x03'::bytea || firstlight.little(octet_length(v)) || convert_to(v, 'UTF8') END
$$;

CREATE FUNCTION part(v bytea) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v IS NULL THEN '\x000000000000000000'::bytea
        ELSE '\x04'::bytea || firstlight.little(octet_length(v)) || v END
$$;
