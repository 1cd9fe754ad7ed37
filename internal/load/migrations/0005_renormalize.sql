-- Rebuilding the tables from stored payloads.

-- How far a source's tables have been rebuilt, while that is not done; the row moves on in the transaction of each batch, so that whoever takes up an
-- interrupted one goes on where it was. rebuilt_by: what it is done with, the rules of the source included; with anything else it starts over. Calls are
-- gone through newest first: those down to (started_at, call_id) are done, those without a start come last. Then come rejects, by reject_id. reading: what
-- has this number or a higher one came since it began. drift: the oddities that were known when it began, as a JSON array of their paths.
CREATE TABLE sync.renormalize (
    source     VARCHAR NOT NULL,
    rebuilt_by VARCHAR NOT NULL,
    began_at   TIMESTAMPTZ NOT NULL,
    reading    BIGINT NOT NULL,
    drift      VARCHAR NOT NULL,
    stage      VARCHAR NOT NULL,
    started_at TIMESTAMPTZ,
    call_id    VARCHAR,
    reject_id  VARCHAR,
    looked     BIGINT NOT NULL
);

-- All the rules by which something that is stored of a source may have been stored, "; " between them: rules is what its next records are read with.
ALTER TABLE sync.sources ADD COLUMN stored_rules VARCHAR;
UPDATE sync.sources SET stored_rules = rules;

COMMENT ON TABLE sync.renormalize IS 'How far the tables of a source have been rebuilt from stored payloads by syncd renormalize, while that is not done: one row per source. The writer''s own.';
COMMENT ON COLUMN sync.renormalize.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.renormalize.rebuilt_by IS 'The version of syncd and the rules with which they are rebuilt; with others it starts over. Never NULL.';
COMMENT ON COLUMN sync.renormalize.began_at IS 'When it began; UTC. Never NULL.';
COMMENT ON COLUMN sync.renormalize.reading IS 'The number that the next reading had when it began: what has it or a higher one has come since. Never NULL.';
COMMENT ON COLUMN sync.renormalize.drift IS 'The oddities that were known when it began: a JSON array of their paths. Never NULL.';
COMMENT ON COLUMN sync.renormalize.stage IS 'What is gone through now, such as calls, then rejects. Never NULL.';
COMMENT ON COLUMN sync.renormalize.started_at IS 'The start of the last call that was done; UTC. NULL: none yet, or those without a start are gone through.';
COMMENT ON COLUMN sync.renormalize.call_id IS 'The id of the last call that was done. NULL: none yet.';
COMMENT ON COLUMN sync.renormalize.reject_id IS 'The id of the last reject that was done. NULL: none yet.';
COMMENT ON COLUMN sync.renormalize.looked IS 'How many calls and rejects were looked at. Never NULL.';
COMMENT ON COLUMN sync.sources.stored_rules IS 'All the rules of privacy and credits by which something of the source may have been stored, separated by semicolons. NULL: nothing was stored yet.';
