-- The contract as its first deposit gave it, so that its parties' names can be shown and it can be ended by its id. Contracts from
-- before this have none; whose they are is in the other columns.
ALTER TABLE contracts ADD COLUMN file TEXT;
CREATE INDEX contracts_by_client ON contracts (client, contract);
CREATE INDEX contracts_by_freelancer ON contracts (freelancer, contract);
CREATE INDEX contracts_by_agency ON contracts (agency, contract);
