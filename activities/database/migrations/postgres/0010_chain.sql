-- L4: what makes it noticed if a posting was changed, removed or put in from outside after all. Each link is a hash of its
-- posting and of the link before it; the program makes them.
CREATE TABLE journal_chain (
    sequence BIGINT NOT NULL PRIMARY KEY REFERENCES journal (sequence),
    hash     TEXT COLLATE "C" NOT NULL CHECK (length(hash) = 64)
);

CREATE TRIGGER journal_chain_is_never_updated BEFORE UPDATE ON journal_chain
FOR EACH ROW EXECUTE FUNCTION refuse('L4: the journal''s chain only grows');
CREATE TRIGGER journal_chain_is_never_deleted BEFORE DELETE ON journal_chain
FOR EACH ROW EXECUTE FUNCTION refuse('L4: the journal''s chain only grows');
CREATE TRIGGER journal_chain_is_never_emptied BEFORE TRUNCATE ON journal_chain
FOR EACH STATEMENT EXECUTE FUNCTION refuse('L4: the journal''s chain only grows');
