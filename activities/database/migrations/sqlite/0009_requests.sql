-- What was answered to a request under an idempotency key, so that the same request again is the same answer.
CREATE TABLE requests (
    sender      TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    began_at    TEXT   NOT NULL,
    status      BIGINT,
    headers     TEXT,
    body        TEXT,
    PRIMARY KEY (sender, key),
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE INDEX requests_by_age ON requests (began_at);
