-- Milestones, bonuses and returned payments: what escrow is for (E6, E13), which milestone is under review or decided
-- (E3), and what goes back to the client of what was paid (P4).

-- What of a contract's escrow, held by no case, is for something in particular: a milestone, the next milestone's
-- deposit (held over), or a deposit in flight that draws on it. What is neither held nor here is for the whole contract.
CREATE TABLE set_aside (
    -- Its age: held-over money is drawn oldest first, and what is put back has its old place again.
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    contract  TEXT   NOT NULL,
    currency  TEXT   NOT NULL,
    purpose   TEXT   NOT NULL CHECK (purpose IN ('milestone', 'held_over', 'deposit')),
    -- For which, or held over from which; without one, money held over that nobody may dispute.
    milestone TEXT,
    -- The deposit in flight that has reserved it.
    deposit   TEXT,
    amount    BIGINT NOT NULL CHECK (typeof(amount) = 'integer' AND amount > 0),
    CHECK (purpose = 'held_over' OR milestone IS NOT NULL),
    CHECK ((purpose = 'deposit') = (deposit IS NOT NULL))
);

CREATE INDEX set_aside_by_contract ON set_aside (contract, sequence);

-- The milestone that a case is about. One with an ordinal is a review; `origins` is where its money was before, in JSON.
ALTER TABLE holds ADD COLUMN milestone TEXT;
ALTER TABLE holds ADD COLUMN ordinal BIGINT
    CHECK (ordinal IS NULL OR (ordinal > 0 AND milestone IS NOT NULL));
ALTER TABLE holds ADD COLUMN milestone_done BIGINT NOT NULL DEFAULT 0
    CHECK (milestone_done IN (0, 1) AND (milestone_done = 0 OR closed = 1));
ALTER TABLE holds ADD COLUMN origins TEXT;
-- E11: the case ended the contract, and nothing was deposited since.
ALTER TABLE holds ADD COLUMN ends_contract BIGINT NOT NULL DEFAULT 0 CHECK (ends_contract IN (0, 1));

-- Deposits for a milestone as they were asked for. Only what held-over money does not cover is charged, and is in
-- `deposits` then.
CREATE TABLE milestone_deposits (
    contract  TEXT   NOT NULL,
    deposit   TEXT   NOT NULL,
    milestone TEXT   NOT NULL,
    source    TEXT   NOT NULL,
    charge    TEXT   NOT NULL,
    currency  TEXT   NOT NULL,
    asked     BIGINT NOT NULL CHECK (asked > 0),
    from_held BIGINT NOT NULL CHECK (from_held BETWEEN 0 AND asked),
    -- Where the held-over money goes if the charge is declined.
    origins   TEXT   NOT NULL,
    state     TEXT   NOT NULL CHECK (state IN ('in_flight', 'made', 'declined')),
    -- The escrow right after it, and the provider's reason, so that asking again gets the first answer (L7).
    held      BIGINT CHECK (held >= asked),
    reason    TEXT,
    PRIMARY KEY (contract, deposit),
    CHECK ((state = 'made') = (held IS NOT NULL)),
    CHECK ((state = 'declined') = (reason IS NOT NULL))
);

CREATE TRIGGER an_answered_deposit_is_never_updated BEFORE UPDATE ON milestone_deposits WHEN OLD.state <> 'in_flight'
BEGIN SELECT RAISE(ABORT, 'L4: a deposit is never changed'); END;

CREATE TRIGGER an_answered_deposit_is_never_deleted BEFORE DELETE ON milestone_deposits WHEN OLD.state <> 'in_flight'
BEGIN SELECT RAISE(ABORT, 'L4: a deposit is never deleted'); END;

-- The payment that a return takes back.
ALTER TABLE journal ADD COLUMN payment TEXT REFERENCES journal (id) CHECK (kind <> 'return' OR payment IS NOT NULL);

CREATE INDEX journal_by_payment ON journal (payment);
CREATE INDEX journal_by_credit ON journal (credit, available_at);

-- What is to go back of a payment, and to which charge: written down before the provider is asked, so that a retry has
-- the same legs, and nothing else wants the same money meanwhile.
CREATE TABLE return_legs (
    -- The posting's id, and the provider's key.
    posting  TEXT   NOT NULL PRIMARY KEY,
    -- `{case_ref}/{step}`, and the leg's place in it.
    plan     TEXT   NOT NULL,
    number   BIGINT NOT NULL,
    contract TEXT   NOT NULL,
    payment  TEXT   NOT NULL REFERENCES journal (id),
    payee    TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    -- The deposit that it was charged with; none for a bonus, which is a charge by itself.
    deposit  TEXT,
    source   TEXT   NOT NULL,
    charge   TEXT   NOT NULL,
    amount   BIGINT NOT NULL CHECK (typeof(amount) = 'integer' AND amount > 0),
    posted   BIGINT NOT NULL DEFAULT 0 CHECK (posted IN (0, 1)),
    UNIQUE (plan, number)
);

CREATE INDEX return_legs_by_contract ON return_legs (contract);
CREATE INDEX return_legs_by_payment ON return_legs (payment);
CREATE INDEX return_legs_by_payee ON return_legs (payee);

CREATE TRIGGER return_legs_are_only_marked BEFORE UPDATE ON return_legs
BEGIN
    SELECT RAISE(ABORT, 'L4: a planned return is only marked as posted')
    WHERE OLD.posted = 1 OR NEW.posted = 0
       OR NEW.posting <> OLD.posting OR NEW.plan <> OLD.plan OR NEW.number <> OLD.number
       OR NEW.contract <> OLD.contract OR NEW.payment <> OLD.payment OR NEW.payee <> OLD.payee
       OR NEW.currency <> OLD.currency OR NEW.deposit IS NOT OLD.deposit OR NEW.source <> OLD.source
       OR NEW.charge <> OLD.charge OR NEW.amount <> OLD.amount
       OR NOT EXISTS (SELECT 1 FROM journal WHERE id = NEW.posting);
END;

CREATE TRIGGER return_legs_are_never_deleted BEFORE DELETE ON return_legs
BEGIN SELECT RAISE(ABORT, 'L4: a planned return is never deleted'); END;

-- P4: what is planned and what was returned never exceed the payment, the charge, or what the payee has.
CREATE TRIGGER planned_returns_are_covered AFTER INSERT ON return_legs
BEGIN
    SELECT RAISE(ABORT, 'P4: a return takes back a payment of its contract')
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE id = NEW.payment AND contract = NEW.contract
                      AND kind IN ('release', 'bonus') AND credit = NEW.payee AND currency = NEW.currency);
    SELECT RAISE(ABORT, 'P4: returns exceed the payment')
    WHERE (SELECT COALESCE(SUM(amount), 0) FROM journal WHERE payment = NEW.payment AND kind = 'return')
        + (SELECT COALESCE(SUM(amount), 0) FROM return_legs WHERE payment = NEW.payment AND posted = 0)
        > (SELECT amount FROM journal WHERE id = NEW.payment);
    SELECT RAISE(ABORT, 'P4: returns exceed the deposit')
    WHERE NEW.deposit IS NOT NULL
      AND (SELECT COALESCE(SUM(amount), 0) FROM journal
           WHERE contract = NEW.contract AND kind IN ('refund', 'return') AND deposit = NEW.deposit)
        + (SELECT COALESCE(SUM(amount), 0) FROM return_legs
           WHERE contract = NEW.contract AND deposit = NEW.deposit AND posted = 0)
        > COALESCE((SELECT amount FROM deposits WHERE contract = NEW.contract AND deposit = NEW.deposit), 0);
    SELECT RAISE(ABORT, 'P4: returns exceed what the payee has')
    WHERE (SELECT COALESCE(SUM(amount), 0) FROM return_legs
           WHERE payee = NEW.payee AND currency = NEW.currency AND posted = 0)
        > COALESCE((SELECT balance FROM balances WHERE account = NEW.payee AND currency = NEW.currency), 0);
END;

-- The same of what is posted, whoever posts it.
CREATE TRIGGER returns_are_covered AFTER INSERT ON journal WHEN NEW.kind = 'return'
BEGIN
    SELECT RAISE(ABORT, 'P4: a return takes back a payment of its contract')
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE id = NEW.payment AND contract = NEW.contract
                      AND kind IN ('release', 'bonus') AND credit = NEW.debit AND currency = NEW.currency);
    SELECT RAISE(ABORT, 'P4: returns exceed the payment')
    WHERE (SELECT SUM(amount) FROM journal WHERE payment = NEW.payment AND kind = 'return')
        > (SELECT amount FROM journal WHERE id = NEW.payment);
END;

CREATE TRIGGER a_charge_goes_back_once AFTER INSERT ON journal
WHEN NEW.kind IN ('refund', 'return') AND NEW.deposit IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'R7, P4: refunds and returns exceed the deposit')
    WHERE (SELECT SUM(amount) FROM journal
           WHERE contract = NEW.contract AND kind IN ('refund', 'return') AND deposit = NEW.deposit)
        > COALESCE((SELECT amount FROM deposits WHERE contract = NEW.contract AND deposit = NEW.deposit), 0);
END;

CREATE TRIGGER bonuses_go_to_the_payee AFTER INSERT ON journal WHEN NEW.kind = 'bonus'
BEGIN
    SELECT RAISE(ABORT, 'E1: a bonus goes to whom the contract names')
    WHERE NEW.credit <> (
        SELECT CASE WHEN agency IS NULL THEN 'freelancer:' || freelancer ELSE 'agency:' || agency END
        FROM contracts WHERE contract = NEW.contract);
END;

-- E3: milestones are reviewed one at a time. One workflow id may have left an open row of an earlier case behind.
CREATE TRIGGER one_review_at_a_time AFTER INSERT ON holds WHEN NEW.ordinal IS NOT NULL AND NEW.closed = 0
BEGIN
    SELECT RAISE(ABORT, 'E3: another milestone is under review')
    WHERE EXISTS (SELECT 1 FROM holds WHERE contract = NEW.contract AND closed = 0 AND ordinal IS NOT NULL
                  AND case_id <> NEW.case_id);
END;

-- L3 as before, with what is set aside: both together are in the escrow, all of it, always.
DROP TRIGGER escrow_covers_its_holds;
DROP TRIGGER hold_opens_within_escrow;
DROP TRIGGER hold_stays_within_escrow;

CREATE TRIGGER escrow_covers_its_holds AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'escrow:'
BEGIN
    SELECT RAISE(ABORT, 'L3: other cases hold this escrow, or it is set aside')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency) > NEW.balance;
END;

CREATE TRIGGER hold_opens_within_escrow AFTER INSERT ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER hold_stays_within_escrow AFTER UPDATE ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER set_aside_begins_within_escrow AFTER INSERT ON set_aside
BEGIN
    SELECT RAISE(ABORT, 'L3: what is set aside exceeds the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER set_aside_stays_within_escrow AFTER UPDATE ON set_aside
BEGIN
    SELECT RAISE(ABORT, 'L3: what is set aside exceeds the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds WHERE contract = NEW.contract AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;
