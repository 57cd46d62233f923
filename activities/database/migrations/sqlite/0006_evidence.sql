-- Evidence (D4, D6): who uploaded which file for which contract. The content is in a store of objects; a row is what makes it
-- evidence. What a case referred to is sealed and stays.

CREATE TABLE evidence (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    contract       TEXT   NOT NULL,
    -- Of the content, 64 hexadecimal digits in lower case. With the contract it names the object.
    sha256         TEXT   NOT NULL CHECK (length(sha256) = 64),
    name           TEXT   NOT NULL,
    size           BIGINT NOT NULL CHECK (size > 0),
    media_type     TEXT   NOT NULL,
    uploader_role  TEXT   NOT NULL,
    uploader       TEXT   NOT NULL,
    -- Milliseconds since 1970: first uploaded, and last; the last is what an unsealed file is kept from.
    at             BIGINT NOT NULL,
    fresh_at       BIGINT NOT NULL,
    -- Whether the content is where it belongs. Until then nothing is served.
    placed         BIGINT NOT NULL DEFAULT 0 CHECK (placed IN (0, 1)),
    -- Whether the content is being deleted. Nobody brings it back before that is done.
    going          BIGINT NOT NULL DEFAULT 0 CHECK (going IN (0, 1)),
    sealed_by_case TEXT,
    sealed_at      BIGINT,
    UNIQUE (contract, sha256, uploader_role, uploader),
    CHECK ((sealed_by_case IS NULL) = (sealed_at IS NULL)),
    CHECK (sealed_at IS NULL OR (placed = 1 AND going = 0))
);

CREATE INDEX evidence_by_seal ON evidence (sealed_at, fresh_at);

CREATE TRIGGER sealed_evidence_is_never_deleted BEFORE DELETE ON evidence WHEN OLD.sealed_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'D4: sealed evidence is kept'); END;

CREATE TRIGGER evidence_keeps_what_it_is BEFORE UPDATE ON evidence
WHEN NEW.contract <> OLD.contract OR NEW.sha256 <> OLD.sha256 OR NEW.name <> OLD.name OR NEW.size <> OLD.size
    OR NEW.media_type <> OLD.media_type OR NEW.uploader_role <> OLD.uploader_role OR NEW.uploader <> OLD.uploader
    OR NEW.at <> OLD.at OR (OLD.sealed_at IS NOT NULL AND NEW.sealed_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'D4: evidence does not change'); END;
