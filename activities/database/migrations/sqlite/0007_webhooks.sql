-- What happened in cases, for programs: the events, written with the notices, and the endpoints that they are sent to.

CREATE TABLE events (
    -- The place in the feed. Only one transaction writes at a time, so that nothing ever appears before what was read.
    position      INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT   NOT NULL UNIQUE,
    case_ref      TEXT   NOT NULL,
    number        BIGINT NOT NULL,
    event         TEXT   NOT NULL,
    contract      TEXT   NOT NULL,
    case_id       TEXT   NOT NULL,
    -- The place among the events of its case, from 1 and without gaps.
    case_sequence BIGINT NOT NULL CHECK (case_sequence > 0),
    rule          TEXT   NOT NULL,
    -- RFC 3339, UTC, in the case's time.
    at            TEXT   NOT NULL,
    deadline      TEXT,
    UNIQUE (case_ref, number, event),
    UNIQUE (case_id, case_sequence)
);

CREATE INDEX events_by_contract ON events (contract, position);

CREATE TABLE webhook_endpoints (
    id          TEXT   NOT NULL PRIMARY KEY,
    url         TEXT   NOT NULL,
    description TEXT   NOT NULL,
    -- Milliseconds since 1970.
    added_at    BIGINT NOT NULL,
    -- Set when it said that it is gone (410). Nothing is sent to it any more.
    disabled_at BIGINT,
    -- Up to which position deliveries were started; it begins with the newest event of the time when it was added.
    handed_over BIGINT NOT NULL
);

CREATE TABLE webhook_secrets (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint    TEXT   NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    secret      TEXT   NOT NULL,
    -- Milliseconds since 1970; none for the present one.
    valid_until BIGINT
);

CREATE INDEX webhook_secrets_by_endpoint ON webhook_secrets (endpoint, sequence);

CREATE TABLE webhook_deliveries (
    endpoint   TEXT   NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    position   BIGINT NOT NULL REFERENCES events (position),
    state      TEXT   NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempts   BIGINT NOT NULL DEFAULT 0,
    -- What the last try came to.
    status     BIGINT,
    reason     TEXT,
    -- Milliseconds since 1970: the last try, or the giving up.
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, position)
);
