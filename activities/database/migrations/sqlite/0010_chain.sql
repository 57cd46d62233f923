-- L4: what makes it noticed if a posting was changed, removed or put in from outside after all. Each link is a hash of its
-- posting and of the link before it; the program makes them.
CREATE TABLE journal_chain (
    sequence INTEGER PRIMARY KEY REFERENCES journal (sequence),
    hash     TEXT NOT NULL CHECK (length(hash) = 64)
);

CREATE TRIGGER journal_chain_is_never_updated BEFORE UPDATE ON journal_chain
BEGIN SELECT RAISE(ABORT, 'L4: the journal''s chain only grows'); END;

CREATE TRIGGER journal_chain_is_never_deleted BEFORE DELETE ON journal_chain
BEGIN SELECT RAISE(ABORT, 'L4: the journal''s chain only grows'); END;
