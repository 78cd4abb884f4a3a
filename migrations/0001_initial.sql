-- Up Migration

-- One row: which fleet this database is. Heartbeats carry it, foreign ones are ignored.
CREATE TABLE fleet (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  id uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO fleet DEFAULT VALUES;

-- The column order keeps the WAL per row and tick small: what a tick changes stands behind what it doesn't.
-- fillfactor 50 leaves room for each row's next version on its own page, so that every update is HOT.
-- No index may ever hold a column that ticks change.
CREATE TABLE work_items (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  slot smallint NOT NULL GENERATED ALWAYS AS ((('x' || left(md5(id::text), 4))::bit(16)::int >> 2)::smallint) STORED,
  value integer NOT NULL DEFAULT 0,
  lasttick timestamptz NOT NULL DEFAULT '-infinity',
  currentworker text
) WITH (fillfactor = 50);
CREATE INDEX work_items_slot ON work_items (slot);

-- Immutable numbered documents: ring views and configs.
CREATE TABLE versions (
  kind text NOT NULL CHECK (kind IN ('ring', 'config')),
  version bigint NOT NULL CHECK (version > 0),
  activates_at timestamptz NOT NULL,
  digest text NOT NULL,
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_by text NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (kind, version)
);

-- Sealed ticks: which ring and which config rule a tick. Whoever opens the tick writes it; it never changes.
CREATE TABLE ticks (
  tick timestamptz PRIMARY KEY,
  ring bigint NOT NULL,
  ring_digest text NOT NULL,
  config bigint NOT NULL,
  config_digest text NOT NULL
);

-- The lease of the one control-plane replica that may publish ring views.
CREATE TABLE leadership (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  holder text,
  term bigint NOT NULL DEFAULT 0,
  expires_at timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO leadership DEFAULT VALUES;

-- A process takes the next number at start: a later process of the same name has the higher one.
CREATE SEQUENCE incarnations;

CREATE TABLE worker_events (
  worker text NOT NULL,
  key text NOT NULL,
  incarnation bigint NOT NULL,
  seq bigint NOT NULL,
  body jsonb NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (worker, key)
);
