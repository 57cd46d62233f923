-- What a dispute stands on is a fact of the ledger (D1): that the contract ended, which a later deposit does not undo, and that a
-- milestone's submission was not superseded.
ALTER TABLE holds ADD COLUMN ended_contract BIGINT NOT NULL DEFAULT 0 CHECK (ended_contract IN (0, 1));
ALTER TABLE holds ADD COLUMN superseded BIGINT NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1));

-- An end that stood has moved money or ends the contract still; one that was refused has done neither.
UPDATE holds SET ended_contract = 1
WHERE ends_contract = 1
   OR (case_id = 'refund-request:' || contract
       AND EXISTS (SELECT 1 FROM journal WHERE journal.contract = holds.contract AND journal.case_id = holds.case_id));

CREATE INDEX contracts_that_ended ON holds (contract) WHERE ended_contract = 1;
