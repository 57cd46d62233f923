-- A hold that has closed holds nothing. So what a contract's cases hold is the sum over its open holds, and a contract of thousands
-- of cases costs no more than one of a few.

CREATE INDEX open_holds ON holds (contract) WHERE closed = 0;

DROP TRIGGER escrow_covers_its_holds;
DROP TRIGGER hold_opens_within_escrow;
DROP TRIGGER hold_stays_within_escrow;
DROP TRIGGER set_aside_begins_within_escrow;
DROP TRIGGER set_aside_stays_within_escrow;

CREATE TRIGGER escrow_covers_its_holds AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'escrow:'
BEGIN
    SELECT RAISE(ABORT, 'L3: other cases hold this escrow, or it is set aside')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = substr(NEW.account, 8) AND closed = 0 AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside
           WHERE contract = substr(NEW.account, 8) AND currency = NEW.currency) > NEW.balance;
END;

CREATE TRIGGER hold_opens_within_escrow AFTER INSERT ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = NEW.contract AND closed = 0 AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER hold_stays_within_escrow AFTER UPDATE ON holds
BEGIN
    SELECT RAISE(ABORT, 'L3: holds exceed the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = NEW.contract AND closed = 0 AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER set_aside_begins_within_escrow AFTER INSERT ON set_aside
BEGIN
    SELECT RAISE(ABORT, 'L3: what is set aside exceeds the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = NEW.contract AND closed = 0 AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;

CREATE TRIGGER set_aside_stays_within_escrow AFTER UPDATE ON set_aside
BEGIN
    SELECT RAISE(ABORT, 'L3: what is set aside exceeds the escrow')
    WHERE (SELECT COALESCE(SUM(held), 0) FROM holds
           WHERE contract = NEW.contract AND closed = 0 AND currency = NEW.currency)
        + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = NEW.contract AND currency = NEW.currency)
        > COALESCE((SELECT balance FROM balances
                    WHERE account = 'escrow:' || NEW.contract AND currency = NEW.currency), 0);
END;
