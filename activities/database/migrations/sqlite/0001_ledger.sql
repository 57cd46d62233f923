-- The ledger (L1–L5). The constraints here are the last line of defence: whatever a program tries, no money appears,
-- vanishes, or pays for another contract. Queries are the same on every database; only this schema is SQLite's.

-- E1: whose a contract is, as its first deposit said. No posting is without it.
CREATE TABLE contracts (
    contract   TEXT NOT NULL PRIMARY KEY CHECK (contract <> ''),
    currency   TEXT NOT NULL CHECK (length(currency) = 3),
    client     TEXT NOT NULL,
    freelancer TEXT NOT NULL,
    agency     TEXT,
    CHECK (client <> freelancer)
);

CREATE TABLE journal (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    at           TEXT    NOT NULL,
    recorded_at  TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('deposit', 'release', 'bonus', 'refund', 'return', 'fee',
                                                  'fee_return', 'to_suspense', 'from_suspense')),
    debit        TEXT    NOT NULL,
    credit       TEXT    NOT NULL,
    currency     TEXT    NOT NULL CHECK (length(currency) = 3),
    amount       BIGINT  NOT NULL CHECK (typeof(amount) = 'integer' AND amount > 0),
    contract     TEXT    NOT NULL REFERENCES contracts (contract),
    case_id      TEXT    NOT NULL CHECK (case_id <> ''),
    rule         TEXT    NOT NULL CHECK (rule <> ''),
    deposit      TEXT,
    available_at TEXT,
    content      TEXT    NOT NULL,
    CHECK (debit <> credit),
    CHECK (debit = 'fees' OR substr(debit, 1, instr(debit, ':'))
           IN ('source:', 'escrow:', 'freelancer:', 'agency:', 'suspense:')),
    CHECK (credit = 'fees' OR substr(credit, 1, instr(credit, ':'))
           IN ('source:', 'escrow:', 'freelancer:', 'agency:', 'suspense:')),
    -- L3: one contract's escrow never pays for another's, nor does its suspense.
    CHECK (substr(debit, 1, 7) <> 'escrow:' OR debit = 'escrow:' || contract),
    CHECK (substr(credit, 1, 7) <> 'escrow:' OR credit = 'escrow:' || contract),
    CHECK (substr(debit, 1, 9) <> 'suspense:' OR debit = 'suspense:' || contract),
    CHECK (substr(credit, 1, 9) <> 'suspense:' OR credit = 'suspense:' || contract),
    CHECK (kind <> 'refund' OR deposit IS NOT NULL)
);

CREATE INDEX journal_by_contract ON journal (contract, sequence);

CREATE TABLE balances (
    account  TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    balance  BIGINT NOT NULL,
    PRIMARY KEY (account, currency),
    -- L3. Money comes from a source and goes back to it, so a source owes; every other account has.
    CONSTRAINT no_account_is_overdrawn CHECK (
        CASE WHEN substr(account, 1, 7) = 'source:' THEN balance <= 0 ELSE balance >= 0 END)
);

CREATE TABLE deposits (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    contract  TEXT   NOT NULL,
    deposit   TEXT   NOT NULL,
    milestone TEXT,
    source    TEXT   NOT NULL,
    charge    TEXT   NOT NULL UNIQUE REFERENCES journal (id),
    currency  TEXT   NOT NULL,
    amount    BIGINT NOT NULL CHECK (amount > 0),
    -- The escrow right after it, so that asking again gets the first answer (L7).
    held      BIGINT NOT NULL CHECK (held >= amount),
    at        TEXT   NOT NULL,
    UNIQUE (contract, deposit)
);

CREATE TABLE holds (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    case_ref  TEXT   NOT NULL UNIQUE,
    case_id   TEXT   NOT NULL,
    first_run TEXT   NOT NULL,
    contract  TEXT   NOT NULL,
    currency  TEXT   NOT NULL,
    opened_at TEXT   NOT NULL,
    -- What the opening answered, so that asking again gets the first answer (L7).
    opened    TEXT   NOT NULL,
    held      BIGINT NOT NULL CHECK (held >= 0),
    closed    BIGINT NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
    UNIQUE (case_id, first_run),
    CHECK (closed = 0 OR held = 0)
);

CREATE INDEX holds_by_contract ON holds (contract);

-- E1: a contract stays what its first deposit said.
CREATE TRIGGER contracts_are_never_updated BEFORE UPDATE ON contracts
BEGIN SELECT RAISE(ABORT, 'E1: a contract with a deposit is never changed'); END;

CREATE TRIGGER contracts_are_never_deleted BEFORE DELETE ON contracts
BEGIN SELECT RAISE(ABORT, 'E1: a contract with a deposit is never deleted'); END;

-- L4: the journal is append-only.
CREATE TRIGGER journal_is_never_updated BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'L4: the journal is append-only; post a correction'); END;

CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN SELECT RAISE(ABORT, 'L4: the journal is append-only; post a correction'); END;

CREATE TRIGGER deposits_are_never_updated BEFORE UPDATE ON deposits
BEGIN SELECT RAISE(ABORT, 'L4: a deposit is never changed'); END;

CREATE TRIGGER deposits_are_never_deleted BEFORE DELETE ON deposits
BEGIN SELECT RAISE(ABORT, 'L4: a deposit is never deleted'); END;

-- L1: balances follow from postings and from nothing else. A row starts at 0 because a CHECK looks at the inserted
-- row before ON CONFLICT does. AFTER, because a BEFORE trigger also fires for an insert that ON CONFLICT then skips.
CREATE TRIGGER journal_moves_balances AFTER INSERT ON journal
BEGIN
    SELECT RAISE(ABORT, 'L1: a contract has one currency')
    WHERE EXISTS (SELECT 1 FROM contracts WHERE contract = NEW.contract AND currency <> NEW.currency);
    SELECT RAISE(ABORT, 'E1: a release goes to whom the contract names')
    WHERE NEW.kind = 'release' AND NEW.credit <> (
        SELECT CASE WHEN agency IS NULL THEN 'freelancer:' || freelancer ELSE 'agency:' || agency END
        FROM contracts WHERE contract = NEW.contract);
    SELECT RAISE(ABORT, 'R7: a deposit never gets back more than it was')
    WHERE NEW.kind = 'refund' AND (
        SELECT COALESCE(SUM(amount), 0) FROM journal
        WHERE contract = NEW.contract AND kind = 'refund' AND deposit = NEW.deposit
    ) > COALESCE((SELECT amount FROM deposits WHERE contract = NEW.contract AND deposit = NEW.deposit), 0);
    INSERT INTO balances (account, currency, balance)
    VALUES (NEW.debit, NEW.currency, 0), (NEW.credit, NEW.currency, 0)
    ON CONFLICT (account, currency) DO NOTHING;
    UPDATE balances SET balance = balance - NEW.amount WHERE account = NEW.debit AND currency = NEW.currency;
    UPDATE balances SET balance = balance + NEW.amount WHERE account = NEW.credit AND currency = NEW.currency;
END;

-- L3: what the cases of a contract hold is in its escrow, all of it, always.
CREATE TRIGGER escrow_covers_its_holds AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'escrow:'
BEGIN
    SELECT RAISE(ABORT, 'L3: other cases hold this escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency) > NEW.balance;
END;

CREATE TRIGGER hold_opens_within_escrow AFTER INSERT ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER hold_stays_within_escrow AFTER UPDATE ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;
