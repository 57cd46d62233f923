-- Notices (N1–N3): what each recipient is told in the app, and the emails that go out with it. The unique keys make
-- a notice one notice per case, event, recipient and channel, however often it is stored (N2).

CREATE TABLE notices (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    case_ref    TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    recipient   TEXT   NOT NULL,
    party       TEXT,
    contract    TEXT   NOT NULL,
    case_id     TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    rule        TEXT   NOT NULL,
    at          TEXT   NOT NULL,
    recorded_at TEXT   NOT NULL,
    deadline    TEXT,
    subject     TEXT   NOT NULL,
    body_text   TEXT   NOT NULL,
    body_html   TEXT   NOT NULL,
    UNIQUE (case_ref, number, event, recipient)
);

CREATE INDEX notices_by_contract ON notices (contract, sequence);
CREATE INDEX notices_by_recipient ON notices (recipient, party, sequence);

CREATE TABLE emails (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    case_ref   TEXT   NOT NULL,
    number     BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    recipient  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    body_text  TEXT   NOT NULL,
    body_html  TEXT   NOT NULL,
    state      TEXT   NOT NULL DEFAULT 'queued'
               CHECK (state IN ('queued', 'sending', 'sent', 'not_sent', 'failed', 'unknown')),
    reason     TEXT,
    attempts   BIGINT NOT NULL DEFAULT 0,
    -- Milliseconds since 1970: not before, and claimed since.
    due_at     BIGINT NOT NULL,
    claimed_at BIGINT,
    UNIQUE (case_ref, number, event, recipient)
);

CREATE INDEX emails_by_state ON emails (state, due_at);
