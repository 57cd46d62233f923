-- Whose a billing method is (A1): who deposited from it, and whose share of an arbitration fee it paid.
CREATE INDEX deposits_by_source ON deposits (source);
CREATE INDEX fees_by_source ON journal (debit) WHERE kind = 'fee';
