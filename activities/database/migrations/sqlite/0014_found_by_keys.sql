-- What grows is found by keys. The law of L3 about sources names the kinds that its index is about: without them every deposit and
-- every refund walked through the whole journal.

DROP TRIGGER no_source_gets_more_than_it_gave;

CREATE TRIGGER no_source_gets_more_than_it_gave AFTER UPDATE ON balances WHEN substr(NEW.account, 1, 7) = 'source:'
BEGIN
    SELECT RAISE(ABORT, 'L3: a source gets back at most what it gave')
    WHERE NEW.balance > (
        SELECT COALESCE(SUM(CASE WHEN credit = NEW.account THEN amount ELSE -amount END), 0) FROM journal
        WHERE currency = NEW.currency AND kind IN ('to_suspense', 'from_suspense')
          AND ((kind = 'to_suspense' AND debit = NEW.account) OR (kind = 'from_suspense' AND credit = NEW.account)));
END;

-- What the fake bank has refunded of a charge, and the events that were given up.
CREATE INDEX sandbox_movements_by_charge ON sandbox_movements (charge) WHERE charge IS NOT NULL;
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (endpoint) WHERE state = 'given_up';
