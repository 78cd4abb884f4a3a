-- Up Migration

-- Ids of webhook messages that were taken: a replay of one is answered and ignored. Kept far longer than the
-- window in which a message's timestamp is accepted, then pruned.
CREATE TABLE webhook_deliveries (
  id text PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
