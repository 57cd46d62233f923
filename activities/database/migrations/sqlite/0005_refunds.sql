-- R8: what became of the money that was given back. A refund is issued with its posting, and later settles or fails. One
-- that failed or is overdue is parked: its money is in suspense until an operator has it sent again, or elsewhere.

CREATE TABLE refunds (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The posting that gave the money back, and the payment provider's key.
    id            TEXT   NOT NULL UNIQUE REFERENCES journal (id),
    -- The refund that this one is another try of; its own id for a first one.
    origin        TEXT   NOT NULL,
    contract      TEXT   NOT NULL REFERENCES contracts (contract),
    -- The contract as it was then, for the notices to come.
    contract_json TEXT   NOT NULL,
    case_id       TEXT   NOT NULL,
    currency      TEXT   NOT NULL CHECK (length(currency) = 3),
    amount        BIGINT NOT NULL CHECK (amount > 0),
    source        TEXT   NOT NULL,
    charge        TEXT   NOT NULL,
    -- Milliseconds since 1970.
    issued_at     BIGINT NOT NULL,
    expected_by   BIGINT NOT NULL,
    state         TEXT   NOT NULL CHECK (state IN ('issued', 'settled', 'failed', 'overdue', 'retried',
                                                   'paid_otherwise')),
    reason        TEXT,
    -- How often its money was sent again, refusals included: the next try's key must be a new one.
    retries       BIGINT NOT NULL DEFAULT 0 CHECK (retries >= 0),
    -- The same for payments to another destination.
    payouts       BIGINT NOT NULL DEFAULT 0 CHECK (payouts >= 0),
    -- What an operator has begun and the provider has not answered yet: 'retry', or 'pay:' and the destination. Nobody
    -- begins anything else meanwhile, or the money could go out twice.
    under_way     TEXT,
    handled_by    TEXT,
    reference     TEXT,
    -- The refund that was sent instead, or the destination that was paid.
    followed_by   TEXT,
    CHECK (under_way IS NULL OR state = 'failed'),
    CHECK ((state IN ('retried', 'paid_otherwise')) = (followed_by IS NOT NULL)),
    CHECK ((state IN ('retried', 'paid_otherwise')) = (handled_by IS NOT NULL))
);

CREATE INDEX refunds_by_contract ON refunds (contract, sequence);
CREATE INDEX refunds_by_state ON refunds (state, expected_by);

CREATE TRIGGER refunds_are_never_deleted BEFORE DELETE ON refunds
BEGIN SELECT RAISE(ABORT, 'R8: a refund is never forgotten'); END;

CREATE TRIGGER refunds_keep_what_they_are BEFORE UPDATE ON refunds
WHEN NEW.id <> OLD.id OR NEW.origin <> OLD.origin OR NEW.contract <> OLD.contract OR NEW.currency <> OLD.currency
    OR NEW.amount <> OLD.amount OR NEW.source <> OLD.source OR NEW.charge <> OLD.charge
BEGIN SELECT RAISE(ABORT, 'R8: only what became of a refund changes'); END;

-- What people are to be told of a refund: written with its change of state, told afterwards, as often as it takes (N3).
CREATE TABLE refund_news (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    refund   TEXT   NOT NULL REFERENCES refunds (id),
    event    TEXT   NOT NULL,
    reason   TEXT,
    at       BIGINT NOT NULL,
    told     BIGINT NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    UNIQUE (refund, event)
);

CREATE INDEX refund_news_by_told ON refund_news (told, sequence);

-- Money in suspense comes from where it could not stay, and goes to a source again.
CREATE TRIGGER suspense_parks_what_came_back AFTER INSERT ON journal
WHEN NEW.kind IN ('to_suspense', 'from_suspense')
    OR substr(NEW.debit, 1, 9) = 'suspense:' OR substr(NEW.credit, 1, 9) = 'suspense:'
BEGIN
    SELECT RAISE(ABORT, 'R8: only what a source did not get is parked, and only a source gets it')
    WHERE NOT (NEW.kind = 'to_suspense' AND substr(NEW.debit, 1, 7) = 'source:' AND substr(NEW.credit, 1, 9) = 'suspense:')
      AND NOT (NEW.kind = 'from_suspense' AND substr(NEW.debit, 1, 9) = 'suspense:' AND substr(NEW.credit, 1, 7) = 'source:');
END;

-- A source gets back at most what it gave. What came out of suspense is on top of that, because an operator may send it to
-- another destination; what went into suspense is less, because the source did not get it. A CHECK cannot look into the
-- journal, so the part of `no_account_is_overdrawn` that is about sources becomes a trigger, and the table is made anew.
CREATE INDEX journal_of_suspense ON journal (kind, debit, credit) WHERE kind IN ('to_suspense', 'from_suspense');

CREATE TABLE balances_before AS SELECT account, currency, balance FROM balances;

DROP TABLE balances;

CREATE TABLE balances (
    account  TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    balance  BIGINT NOT NULL,
    PRIMARY KEY (account, currency),
    -- L3. Money comes from a source and goes back to it, so a source owes (see below); every other account has.
    CONSTRAINT no_account_is_overdrawn CHECK (substr(account, 1, 7) = 'source:' OR balance >= 0)
);

INSERT INTO balances SELECT account, currency, balance FROM balances_before;

DROP TABLE balances_before;

CREATE TRIGGER no_source_gets_more_than_it_gave AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'source:'
BEGIN
    SELECT RAISE(ABORT, 'L3: a source gets back at most what it gave')
    WHERE NEW.balance > (
        SELECT COALESCE(SUM(CASE WHEN credit = NEW.account THEN amount ELSE -amount END), 0) FROM journal
        WHERE currency = NEW.currency
          AND ((kind = 'to_suspense' AND debit = NEW.account) OR (kind = 'from_suspense' AND credit = NEW.account)));
END;

-- L3: as it was before its table was made anew.
CREATE TRIGGER escrow_covers_its_holds AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'escrow:'
BEGIN
    SELECT RAISE(ABORT, 'L3: other cases hold this escrow, or it is set aside')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency) > NEW.balance;
END;

-- The sandbox bank: what became of a refund after it was taken, and payments to a destination that was never charged.
-- Refunds from before count as settled, since nobody waits for them.
CREATE TABLE sandbox_before AS
    SELECT sequence, key, kind, source, currency, amount, charge, declined FROM sandbox_movements;

DROP TABLE sandbox_movements;

CREATE TABLE sandbox_movements (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT   NOT NULL UNIQUE,
    kind     TEXT   NOT NULL CHECK (kind IN ('charge', 'refund', 'pay_out')),
    source   TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    amount   BIGINT NOT NULL CHECK (amount > 0),
    charge   TEXT,
    declined TEXT,
    arrival  TEXT   NOT NULL CHECK (arrival IN ('pending', 'settled', 'failed')),
    failed   TEXT,
    CHECK ((kind = 'refund') = (charge IS NOT NULL)),
    CHECK (kind = 'refund' OR arrival = 'settled'),
    CHECK ((arrival = 'failed') = (failed IS NOT NULL))
);

INSERT INTO sandbox_movements (sequence, key, kind, source, currency, amount, charge, declined, arrival)
SELECT sequence, key, kind, source, currency, amount, charge, declined, 'settled' FROM sandbox_before;

DROP TABLE sandbox_before;
