import type pg from "pg";
import { type Config, DEFAULT_CONFIG } from "../../core/versions/config.js";
import { expectedSeats, expectedSlot } from "./expected-owners.js";

/**
 * Watches work_items from outside: a statement-level trigger writes every change to a table of its own. The
 * fleet knows nothing of it.
 */
export async function installAudit(client: pg.ClientBase, options: { logged?: boolean } = {}): Promise<void> {
  await client.query(`
    CREATE ${options.logged === true ? "" : "UNLOGGED"} TABLE audit (
      id text NOT NULL, old_value int, new_value int, old_tick timestamptz, tick timestamptz,
      worker text, application text, at timestamptz NOT NULL);
    CREATE FUNCTION audit_work() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO audit
      SELECT n.id::text, o.value, n.value, o.lasttick, n.lasttick, n.currentworker,
             current_setting('application_name'), clock_timestamp()
      FROM new_rows n JOIN old_rows o USING (id);
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_work AFTER UPDATE ON work_items
      REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
      FOR EACH STATEMENT EXECUTE FUNCTION audit_work();
    -- Rows come and go: a row owes ticks only while it is there.
    CREATE TABLE audit_rows (id text PRIMARY KEY, inserted_at timestamptz NOT NULL, deleted_at timestamptz);
    INSERT INTO audit_rows SELECT id::text, clock_timestamp() FROM work_items;
    CREATE FUNCTION audit_insert() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO audit_rows SELECT id::text, clock_timestamp() FROM new_rows;
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_insert AFTER INSERT ON work_items
      REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_insert();
    CREATE FUNCTION audit_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE audit_rows SET deleted_at = clock_timestamp() WHERE id IN (SELECT id::text FROM old_rows);
      RETURN NULL;
    END $$;
    CREATE TRIGGER audit_delete AFTER DELETE ON work_items
      REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_delete();`);
}

export interface AuditReport {
  ticks: number;
  rows: number;
  writes: number;
  /** (row, tick) pairs written more than once. */
  doubled: string[];
  /** (row, tick) pairs never written although the row was there, and the machine itself kept up. */
  lost: { id: string; tick: number }[];
  /** Writes by another process than the owner under the view sealed for the tick; a name alone doesn't make it one. */
  foreign: string[];
  /**
   * What the sealed config doesn't say: another increment, work while paused, more rows of a worker than its bound;
   * and rows whose tick fell.
   */
  wrong: string[];
  /** Ticks sealed under another config than the highest that was active by then, or off its grid. */
  unscheduled: string[];
  /** Ticks sealed with an older ring or config than an earlier tick, or with a ring that wasn't active yet. */
  regressed: string[];
  /** Writes that came later than a tick may be worked and a statement may take: ticks worked off afterwards. */
  replayed: string[];
  /** Ticks that the control probe missed as well. */
  excusedTicks: number;
}

interface AuditRow {
  id: string;
  old_value: number;
  new_value: number;
  old_tick: number;
  tick: number;
  worker: string;
  application: string;
  at: number;
}

interface SealedRow {
  tick: number;
  ring: number;
  config: number;
}

/** A tick may be worked until this long after the next boundary (docs/reliability.md); a statement takes as long again. */
const EXTRA_LAG_MS = 500;

export interface AuditWindow {
  /** Epoch ms of the database's clock; ticks from `from` up to and including `to` are judged. */
  from: number;
  to: number;
  /** Ticks that the control probe missed: excused. */
  excused?: ReadonlySet<number>;
}

const EPOCH_MS = (column: string) =>
  `CASE WHEN ${column} = '-infinity' THEN -1 ELSE (extract(epoch FROM ${column}) * 1000)::float8 END`;

/** Judges every (row, tick) of a window, from `audit`, `ticks` and `versions` alone. */
export async function judgeAudit(client: pg.ClientBase, window: AuditWindow): Promise<AuditReport> {
  const { rows: writes } = await client.query<AuditRow>(
    `SELECT id, old_value, new_value, worker, application, ${EPOCH_MS("old_tick")} AS old_tick,
       ${EPOCH_MS("tick")} AS tick, ${EPOCH_MS("at")} AS at
     FROM audit WHERE tick >= to_timestamp($1) AND tick <= to_timestamp($2)`,
    [window.from / 1000, window.to / 1000],
  );
  const { rows: sealed } = await client.query<SealedRow>(
    `SELECT ${EPOCH_MS("tick")} AS tick, ring::int, config::int FROM ticks
     WHERE tick >= to_timestamp($1) AND tick <= to_timestamp($2)`,
    [window.from / 1000, window.to / 1000],
  );
  const { rows: items } = await client.query<{ id: string; from: number; to: number | null }>(
    `SELECT id, ${EPOCH_MS("inserted_at")} AS "from", ${EPOCH_MS("deleted_at")} AS "to" FROM audit_rows`,
  );
  const documents = await readDocuments(client);
  const byTick = new Map(sealed.map((tick) => [tick.tick, tick]));
  const excused = window.excused ?? new Set<number>();
  const seen = new Map<number, Set<string>>();
  const report: AuditReport = {
    ticks: 0,
    rows: items.length,
    writes: writes.length,
    doubled: [],
    lost: [],
    foreign: [],
    wrong: [],
    unscheduled: [],
    regressed: regressed(sealed, documents.ringActivation),
    replayed: [],
    excusedTicks: 0,
  };
  for (const write of writes) {
    const ids = seen.get(write.tick) ?? new Set();
    seen.set(write.tick, ids);
    const where = `${write.id} at ${new Date(write.tick).toISOString()} by ${write.application}`;
    if (ids.has(write.id)) report.doubled.push(where);
    ids.add(write.id);
    const tick = byTick.get(write.tick);
    if (tick === undefined) {
      report.wrong.push(`${where}: the tick is not sealed`);
      continue;
    }
    const owner = documents.owners(tick.ring)[expectedSlot(write.id)] ?? null;
    const process = owner === null ? null : `ringfleet/${owner.worker}/${owner.incarnation}`;
    if (owner?.worker !== write.worker || process !== write.application) {
      report.foreign.push(`${where}, as ${write.worker}: ring ${tick.ring} names ${process}`);
    }
    const { increment, paused, tickMs } = documents.config(tick.config);
    const lateMs = write.at - write.tick;
    if (lateMs > 2 * (tickMs + EXTRA_LAG_MS))
      report.replayed.push(`${where}: ${lateMs} ms after its boundary`);
    if (write.new_value - write.old_value !== increment || paused) {
      report.wrong.push(`${where}: ${write.old_value} -> ${write.new_value}, config ${tick.config}`);
    }
    if (write.old_tick >= write.tick) report.wrong.push(`${where}: lasttick did not rise`);
  }
  report.wrong.push(...beyondBound(writes, (tick) => documents.config(byTick.get(tick)?.config ?? 0)));
  const expected = expectedTicks(documents.configs, window);
  for (const { tick, config } of sealed) {
    if (expected.get(tick)?.version === config) continue;
    report.unscheduled.push(`${new Date(tick).toISOString()}: config ${config}`);
  }
  for (const [tick, { version, tickMs }] of expected) {
    report.ticks += 1;
    const { paused, maxRowsPerSecond } = documents.config(version);
    if (paused || maxRowsPerSecond > 0) continue;
    const ids = seen.get(tick) ?? new Set();
    const owed = items.filter(
      (item) => item.from < tick && (item.to === null || item.to > tick + 2 * tickMs),
    );
    const missing = owed.filter((item) => !ids.has(item.id));
    if (missing.length > 0 && excused.has(tick)) report.excusedTicks += 1;
    else report.lost.push(...missing.map(({ id }) => ({ id, tick })));
  }
  return report;
}

/** S6: of sealed ticks in the order of time, none has an older version than the one before. */
function regressed(
  sealed: readonly SealedRow[],
  ringActivation: (version: number) => number | undefined,
): string[] {
  const found: string[] = [];
  let before: SealedRow | null = null;
  for (const tick of [...sealed].sort((a, b) => a.tick - b.tick)) {
    const what = `${new Date(tick.tick).toISOString()}: ring ${tick.ring}, config ${tick.config}`;
    if (before !== null && (tick.ring < before.ring || tick.config < before.config)) {
      found.push(`${what}, after ring ${before.ring}, config ${before.config}`);
    }
    const activatesAt = ringActivation(tick.ring);
    if (activatesAt === undefined || activatesAt > tick.tick) found.push(`${what}: the ring wasn't active`);
    before = tick;
  }
  return found;
}

/** A worker's rows in a tick, where the config bounds them: what isn't whole may come a row sooner. */
function beyondBound(writes: readonly AuditRow[], configOf: (tick: number) => Config): string[] {
  const counts = new Map<string, { tick: number; rows: number }>();
  for (const { tick, application } of writes) {
    const key = `${new Date(tick).toISOString()} by ${application}`;
    counts.set(key, { tick, rows: (counts.get(key)?.rows ?? 0) + 1 });
  }
  return [...counts].flatMap(([where, { tick, rows }]) => {
    const { maxRowsPerSecond, tickMs } = configOf(tick);
    const bound = Math.ceil((maxRowsPerSecond * tickMs) / 1000);
    return maxRowsPerSecond > 0 && rows > bound ? [`${where}: ${rows} rows, bound ${bound}`] : [];
  });
}

interface ScheduledConfig {
  version: number;
  activatesAt: number;
  tickMs: number;
}

/** The ticks that a window owes, each with its config: the highest that is active by then, on its own grid. */
function expectedTicks(
  configs: readonly ScheduledConfig[],
  { from, to }: AuditWindow,
): Map<number, ScheduledConfig> {
  const expected = new Map<number, ScheduledConfig>();
  let at = from;
  while (at <= to) {
    const ruling = configs
      .filter(({ activatesAt }) => activatesAt <= at)
      .reduce<ScheduledConfig | null>((a, b) => (a === null || b.version > a.version ? b : a), null);
    if (ruling === null) break;
    if (at % ruling.tickMs === 0) expected.set(at, ruling);
    const boundary = (Math.floor(at / ruling.tickMs) + 1) * ruling.tickMs;
    const changes = configs.map(({ activatesAt }) => activatesAt).filter((time) => time > at);
    at = Math.min(boundary, ...changes);
  }
  return expected;
}

async function readDocuments(client: pg.ClientBase) {
  const { rows } = await client.query<{ kind: string; version: number; body: never; activatesAt: number }>(
    `SELECT kind, version::int, body, ${EPOCH_MS("activates_at")} AS "activatesAt" FROM versions`,
  );
  const bodies = new Map(rows.map((row) => [`${row.kind}/${row.version}`, row.body as unknown]));
  const owners = new Map<number, ReturnType<typeof expectedSeats>>();
  const activations = new Map(rows.map((row) => [`${row.kind}/${row.version}`, row.activatesAt]));
  return {
    ringActivation: (version: number) => activations.get(`ring/${version}`),
    configs: rows
      .filter(({ kind }) => kind === "config")
      .map(({ version, activatesAt, body }): ScheduledConfig => {
        return { version, activatesAt, tickMs: (body as { tickMs: number }).tickMs };
      }),
    owners(version: number): ReturnType<typeof expectedSeats> {
      const known =
        owners.get(version) ??
        expectedSeats(bodies.get(`ring/${version}`) as Parameters<typeof expectedSeats>[0]);
      owners.set(version, known);
      return known;
    },
    config(version: number): Config {
      return (bodies.get(`config/${version}`) ?? { ...DEFAULT_CONFIG, increment: Number.NaN }) as Config;
    },
  };
}

/** Gaps in ticks of each row in a window: for a fault that may cost some. */
export function gapsByRow(report: AuditReport): Map<string, number> {
  const gaps = new Map<string, number>();
  for (const { id } of report.lost) gaps.set(id, (gaps.get(id) ?? 0) + 1);
  return gaps;
}
