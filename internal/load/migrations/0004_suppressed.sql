-- Who is kept out of everything that is read, because somebody asked to be forgotten. No number and no id is in it: hash is HMAC-SHA256 by a key that
-- is kept in a file of its own beside the warehouse, and goes into no copy. Without that file nobody can tell, and nothing is read.
--
-- kind: number, a phone number with its country code; national, the same without, of so many digits (length); call, a call of a source, which was erased
-- or kept out: erased says that it had been inserted by a run, and is not there any more; key, the one row that shows which key it is.
CREATE TABLE sync.suppressed (
    kind          VARCHAR NOT NULL,
    hash          VARCHAR NOT NULL,
    length        INTEGER,
    source        VARCHAR,
    erased        BOOLEAN NOT NULL,
    suppressed_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE sync.suppressed IS 'Who is kept out of everything that is read, as digests by a key that is not in this file: syncd forget.';
COMMENT ON COLUMN sync.suppressed.kind IS 'number, national (the same number without its country code), call, or key: what hash is a digest of. Never NULL.';
COMMENT ON COLUMN sync.suppressed.hash IS 'HMAC-SHA256 in hexadecimal digits. Never NULL.';
COMMENT ON COLUMN sync.suppressed.length IS 'How many digits the number has. NULL for what is no number.';
COMMENT ON COLUMN sync.suppressed.source IS 'The source of a call. NULL for what is no call.';
COMMENT ON COLUMN sync.suppressed.erased IS 'Whether the call had been inserted by a run, and is not there any more. Never NULL.';
COMMENT ON COLUMN sync.suppressed.suppressed_at IS 'When it was first kept out; UTC. Never NULL.';
