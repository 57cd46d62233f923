-- L6: what Stripe was asked under each key, and which object of Stripe's came of it. Stripe itself forgets keys after a day, and a
-- case waits for weeks. A charge's object is written down before it can take money, so that no crash loses it.
CREATE TABLE stripe_movements (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT   NOT NULL UNIQUE,
    kind     TEXT   NOT NULL CHECK (kind IN ('charge', 'refund', 'pay_out')),
    source   TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    amount   BIGINT NOT NULL CHECK (amount > 0),
    charge   TEXT,
    object   TEXT   UNIQUE,
    declined TEXT,
    CHECK ((kind = 'refund') = (charge IS NOT NULL))
);

CREATE TRIGGER stripe_movements_are_final BEFORE UPDATE ON stripe_movements
WHEN (NEW.key, NEW.kind, NEW.source, NEW.currency, NEW.amount) IS NOT (OLD.key, OLD.kind, OLD.source, OLD.currency, OLD.amount)
    OR NEW.charge IS NOT OLD.charge
    OR (OLD.object IS NOT NULL AND NEW.object IS NOT OLD.object)
    OR (OLD.declined IS NOT NULL AND (NEW.declined IS NOT OLD.declined OR NEW.object IS NOT OLD.object))
BEGIN SELECT RAISE(ABORT, 'L6: what was asked of Stripe and what came of it is final'); END;

CREATE TRIGGER stripe_movements_are_never_deleted BEFORE DELETE ON stripe_movements
BEGIN SELECT RAISE(ABORT, 'L6: what was asked of Stripe and what came of it is final'); END;
