-- What a posting costs, and that it costs no more for a contract with a long history: an index only has the rows that are
-- looked for in it, and what a law adds up is found without reading everything that ever was.

-- Only a return has a payment.
DROP INDEX journal_by_payment;
CREATE INDEX journal_by_payment ON journal (payment) WHERE payment IS NOT NULL;

-- R7, P4: what went back of a deposit.
CREATE INDEX journal_by_deposit ON journal (contract, deposit) WHERE deposit IS NOT NULL;
