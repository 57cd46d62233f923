-- The sandbox bank's own books: what a real payment provider would keep on its side. The ledger never reads them.

CREATE TABLE sandbox_movements (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key      TEXT   NOT NULL UNIQUE,
    kind     TEXT   NOT NULL CHECK (kind IN ('charge', 'refund')),
    source   TEXT   NOT NULL,
    currency TEXT   NOT NULL,
    amount   BIGINT NOT NULL CHECK (amount > 0),
    charge   TEXT,
    declined TEXT,
    CHECK ((kind = 'refund') = (charge IS NOT NULL))
);

CREATE TABLE sandbox_faults (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    source       TEXT   NOT NULL,
    fault        TEXT   NOT NULL CHECK (fault IN ('decline', 'fail_before', 'fail_after', 'late')),
    milliseconds BIGINT NOT NULL DEFAULT 0 CHECK (milliseconds >= 0),
    times_left   BIGINT NOT NULL CHECK (times_left >= 0)
);
