-- Up Migration

-- Ticks are kept for an hour; which tick a config ruled first is kept as long as the config.
CREATE TABLE config_first_ticks (
  version bigint PRIMARY KEY,
  tick timestamptz NOT NULL
);
