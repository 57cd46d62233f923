-- What the fake bank has refunded of a charge, and the events that were given up, are found by keys.
CREATE INDEX sandbox_movements_by_charge ON sandbox_movements (charge) WHERE charge IS NOT NULL;
CREATE INDEX webhook_deliveries_given_up ON webhook_deliveries (endpoint) WHERE state = 'given_up';
