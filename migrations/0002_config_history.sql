-- Up Migration

-- Ticks are kept for an hour; which tick a config ruled first is kept as long as the config.
CREATE TABLE config_first_ticks (
  version bigint PRIMARY KEY,
  tick timestamptz NOT NULL
);

-- Ids of webhook messages that were taken: a replay is answered and ignored. Old ones are deleted.
CREATE TABLE webhook_messages (
  id text PRIMARY KEY,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
