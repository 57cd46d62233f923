-- A hold that has closed holds nothing. So what a contract's cases hold is the sum over its open holds, and a contract of thousands
-- of cases costs no more than one of a few.

CREATE INDEX open_holds ON holds (contract) WHERE closed = 0;

CREATE OR REPLACE FUNCTION kept_of_escrow(of_contract TEXT, of_currency TEXT) RETURNS NUMERIC LANGUAGE sql STABLE AS $$
    SELECT (SELECT COALESCE(SUM(held), 0) FROM holds
            WHERE contract = of_contract AND closed = 0 AND currency = of_currency)
         + (SELECT COALESCE(SUM(amount), 0) FROM set_aside WHERE contract = of_contract AND currency = of_currency)
$$;
