import type { QueryResult, Row } from "../../core/postgres/database.js";
import type { SealedTick } from "../../core/ticks/sealed-tick.js";
import type { Config } from "../../core/versions/config.js";
import type { VersionDocument, VersionKind } from "../../core/versions/version.js";
import {
  type Item,
  type ItemVersion,
  Lock,
  type PostgresEngine,
  type Statement,
  type Transaction,
} from "./postgres-engine.js";

/**
 * What Postgres makes of each statement of the stores, one function a store function and named like it. Guards and
 * proofs are read from the text itself, so that a statement which loses one loses it here. `statements.test.ts`
 * fails when a text changes: then this model has to be looked at again.
 */
export type StatementBug = (text: string) => string;

export interface KnownStatement {
  name: string;
  run: (tx: Transaction) => Statement<QueryResult<never>>;
}

type Model = (
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
) => Statement<Row[]>;

/** How each store function's text is told from all others. */
const STATEMENTS: [name: string, sign: RegExp, model: Model][] = [
  ["openTick", /INSERT INTO ticks/, openTick],
  ["workRows", /UPDATE work_items/, workRows],
  ["checkProof", /AS sealed,.* AS young/, checkProof],
  ["unworkedIds", /SELECT id::text AS id FROM work_items.*lasttick </, unworkedIds],
  ["countRows", /SELECT count\(\*\)::int AS count FROM work_items WHERE slot/, countRows],
  ["hasUnworkedRows", /SELECT EXISTS \(SELECT FROM work_items.*AS found/, hasUnworkedRows],
  ["readWorkEvidence", /AS "hasRows"/, readWorkEvidence],
  ["countSlotRows", /GROUP BY slot/, countSlotRows],
  ["publishRing", /INSERT INTO versions.*SELECT 'ring'/, publishRing],
  ["publishConfig", /INSERT INTO versions.*SELECT 'config', \$1/, publishConfig],
  ["readConfigSchedule", /AS "nowMs", document\.\*/, readConfigSchedule],
  [
    "readHighestVersions",
    /coalesce\(max\(version\), 0\) FROM versions WHERE kind = 'ring'\) AS ring/,
    readHighest,
  ],
  ["readActiveVersion", /FROM versions WHERE kind = \$1 AND activates_at <= now\(\)/, readActiveVersion],
  [
    "readNewestVersions",
    /FROM versions WHERE kind = \$1 ORDER BY version DESC LIMIT \$2/,
    readNewestVersions,
  ],
  ["readVersion", /FROM versions WHERE kind = \$1 AND version = \$2/, readVersion],
  ["acquireLease", /UPDATE leadership.*RETURNING term/, acquireLease],
  ["renewLease", /UPDATE leadership SET expires_at = now\(\)/, renewLease],
  ["releaseLease", /UPDATE leadership SET holder = NULL/, releaseLease],
  ["readLease", /FROM leadership$/, readLease],
  [
    "readDatabaseTime",
    /^SELECT \(extract\(epoch FROM clock_timestamp\(\)\) \* 1000\)::float8 AS now$/,
    readDatabaseTime,
  ],
  ["nextIncarnation", /nextval\('incarnations'\)/, nextIncarnation],
];

const recognised = new Map<string, [string, string, Model]>();

/** The statement that a store sends, with what it does to the model. Throws for a text that it doesn't know. */
export function statementFor(
  engine: PostgresEngine,
  text: string,
  values: readonly unknown[],
  bug: StatementBug,
): KnownStatement {
  let known = recognised.get(text);
  if (known === undefined) {
    const plain = normalised(text);
    const found = STATEMENTS.find(([, sign]) => sign.test(plain));
    if (found === undefined) throw new UnknownStatementError(plain);
    known = [found[0], plain, found[2]];
    recognised.set(text, known);
  }
  const [name, plain, model] = known;
  const sent = bug(plain);
  return {
    name,
    *run(tx) {
      const rows = yield* model(engine, tx, sent, values);
      const rowCount = (rows as { rowCount?: number }).rowCount ?? rows.length;
      return { rows: rows as never[], rowCount };
    },
  };
}

/** Every text that was sent to the model so far, by the store function that sends it. */
export function statementsSeen(): { name: string; text: string }[] {
  return [...recognised.values()].map(([name, text]) => ({ name, text }));
}

export class UnknownStatementError extends Error {}

function normalised(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** Rows of an UPDATE or INSERT without RETURNING: only their number. */
function counted(rowCount: number): Row[] {
  return Object.assign([], { rowCount });
}

function visible<T extends { csn: number }>(rows: readonly T[], snapshot: number): T[] {
  return rows.filter((row) => row.csn <= snapshot);
}

function stateAt(item: Item, snapshot: number): ItemVersion | null {
  for (let index = item.history.length - 1; index >= 0; index--) {
    const version = item.history[index];
    if (version !== undefined && version.csn <= snapshot) return version;
  }
  return null;
}

function documentsOf(engine: PostgresEngine, snapshot: number, kind: VersionKind): VersionDocument[] {
  return visible(engine.versions, snapshot)
    .map(({ document }) => document)
    .filter((document) => document.kind === kind)
    .sort((a, b) => b.version - a.version);
}

function activeConfig(engine: PostgresEngine, snapshot: number, nowMs: number): VersionDocument | undefined {
  return documentsOf(engine, snapshot, "config").find((document) => document.activatesAtMs <= nowMs);
}

function strideOf(config: VersionDocument): number {
  return (config.body as { tickMs: number }).tickMs;
}

const dateBin = (stride: number, at: number): number => Math.floor(at / stride) * stride;

function* openTick(engine: PostgresEngine, tx: Transaction, text: string): Statement<Row[]> {
  yield "turn";
  const first = engine.csn;
  const config = activeConfig(engine, first, tx.nowMs);
  const boundary = config === undefined ? null : dateBin(strideOf(config), tx.nowMs);
  const isOpen = engine.ticks.some(({ csn, tick }) => csn <= first && tick.tickMs === boundary);
  if (!isOpen && text.includes("pg_advisory_xact_lock")) {
    yield { lock: engine.openersLock, mode: "exclusive" };
  }
  if (!isOpen) yield "turn";
  const sealed = isOpen ? null : tickToSeal(engine, tx, text, engine.csn);
  if (sealed !== null) {
    yield "turn";
    yield { lock: uniqueLock(engine, `tick/${sealed.tickMs}`), mode: "exclusive" };
    const taken = engine.ticks.some(({ tick }) => tick.tickMs === sealed.tickMs);
    if (!taken || text.includes("DO UPDATE")) tx.writes.push({ kind: "tick", tick: sealed });
  }
  yield "turn";
  return replyOfOpening(engine, tx, text);
}

function tickToSeal(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  snapshot: number,
): SealedTick | null {
  const config = activeConfig(engine, snapshot, tx.nowMs);
  if (config === undefined) return null;
  const tickMs = dateBin(strideOf(config), tx.nowMs);
  const ruling = text.includes("v.activates_at <= t.tick") ? tickMs : Number.POSITIVE_INFINITY;
  const ring = documentsOf(engine, snapshot, "ring").find((view) => view.activatesAtMs <= ruling);
  if (ring === undefined) return null;
  if (text.includes("t.tick >= t.activates_at") && tickMs < config.activatesAtMs) return null;
  const newest = Math.max(...visible(engine.ticks, snapshot).map(({ tick }) => tick.tickMs));
  if (text.includes("t.tick > (SELECT coalesce(max(tick)") && tickMs <= newest) return null;
  return {
    tickMs,
    ring: ring.version,
    ringDigest: ring.digest,
    config: config.version,
    configDigest: config.digest,
  };
}

function replyOfOpening(engine: PostgresEngine, tx: Transaction, text: string): Row[] {
  const snapshot = engine.csn;
  const config = activeConfig(engine, snapshot, tx.nowMs);
  let nextTickMs: number | null = null;
  if (config !== undefined) {
    const stride = strideOf(config);
    const pending = documentsOf(engine, snapshot, "config").filter(
      (document) => document.version > config.version && document.activatesAtMs > tx.nowMs,
    );
    nextTickMs = Math.min(
      dateBin(stride, tx.nowMs) + stride,
      ...pending.map((document) => document.activatesAtMs),
    );
  }
  const own = tx.writes.flatMap((write) => (write.kind === "tick" ? [write.tick] : []));
  const ticks = [...visible(engine.ticks, snapshot).map(({ tick }) => tick), ...own]
    .sort((a, b) => b.tickMs - a.tickMs)
    .slice(0, 2);
  const grid = { databaseNowMs: engine.clock(), nextTickMs };
  if (ticks.length === 0) return [{ ...grid, tickMs: null }];
  if (!text.includes("FROM newest_view")) return ticks.map((tick) => ({ ...grid, ...tick }));
  const [view] = documentsOf(engine, snapshot, "ring");
  return ticks.map((tick) => ({ ...grid, ...tick, ring: view?.version, ringDigest: view?.digest }));
}

const uniqueLocks = new WeakMap<PostgresEngine, Map<string, Lock>>();

/** Whoever inserts a key makes others who insert the same wait for its commit. */
function uniqueLock(engine: PostgresEngine, key: string): Lock {
  const locks = uniqueLocks.get(engine) ?? new Map<string, Lock>();
  uniqueLocks.set(engine, locks);
  const lock = locks.get(key) ?? new Lock();
  locks.set(key, lock);
  return lock;
}

/** The one-time filter: evaluated when the statement starts, never again. */
function proofStands(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): boolean {
  const [, tickText, , , ringDigest, configDigest, lagMs] = values as [
    unknown,
    string,
    number,
    string,
    string,
    string,
    number,
  ];
  const tickMs = Date.parse(tickText);
  if (text.includes("$2::timestamptz > now() - $7") && tickMs <= tx.nowMs - lagMs) return false;
  if (text.includes("FROM newest_view")) {
    return documentsOf(engine, engine.csn, "ring")[0]?.digest === ringDigest;
  }
  if (!text.includes("SELECT FROM ticks WHERE tick = $2")) return true;
  return engine.ticks.some(
    ({ tick }) =>
      tick.tickMs === tickMs &&
      (!text.includes("ring_digest = $5") || tick.ringDigest === ringDigest) &&
      (!text.includes("config_digest = $6") || tick.configDigest === configDigest),
  );
}

/**
 * Rows in the order of slot and id, with a bound those first whose tick is oldest. A row that another transaction has locked is waited for (or skipped), and
 * what has changed since the snapshot is checked again by the row's own columns only.
 */
function* workRows(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const snapshot = engine.csn;
  const slots = new Set(values[0] as number[]);
  const tickMs = Date.parse(values[1] as string);
  if (!proofStands(engine, tx, text, values)) return counted(0);
  const parameter = (clause: RegExp) => {
    const number = clause.exec(text)?.[1];
    return number === undefined ? undefined : values[Number(number) - 1];
  };
  const notBefore = parameter(/lasttick >= \$(\d+)::timestamptz OR/);
  const excluded = (parameter(/id::text <> ALL\(\$(\d+)/) ?? []) as string[];
  const ids = parameter(/id::text = ANY\(\$(\d+)/) as string[] | undefined;
  const limit = (parameter(/LIMIT \$(\d+)/) ?? Number.POSITIVE_INFINITY) as number;
  const isGuarded = text.includes("lasttick < $2::timestamptz");
  const mayWork = (item: Item, row: ItemVersion) => {
    if (isGuarded && row.lasttick >= tickMs) {
      if (row.lasttick > tickMs) engine.witness.overtaken(tx, item, tickMs);
      return false;
    }
    return (
      notBefore === undefined ||
      row.lasttick === Number.NEGATIVE_INFINITY ||
      row.lasttick >= Date.parse(notBefore as string)
    );
  };
  let worked = 0;
  const waitingSince = (item: Item) => stateAt(item, snapshot)?.lasttick ?? Number.POSITIVE_INFINITY;
  const items = [...engine.items];
  if (text.includes("ORDER BY lasttick")) {
    items.sort((a, b) =>
      waitingSince(a) === waitingSince(b) ? 0 : waitingSince(a) < waitingSince(b) ? -1 : 1,
    );
  }
  for (const item of items) {
    if (worked >= limit) break;
    if (!slots.has(item.slot) || excluded.includes(item.id) || ids?.includes(item.id) === false) continue;
    const seen = stateAt(item, snapshot);
    if (seen === null || !mayWork(item, seen)) continue;
    if (text.includes("SKIP LOCKED") && !item.lock.isFreeFor(tx, "exclusive")) continue;
    if (engine.random.chance(0.15)) yield "turn";
    yield { lock: item.lock, mode: "exclusive" };
    const latest = item.history[item.history.length - 1];
    if (latest === undefined || (latest.csn > snapshot && !mayWork(item, latest))) continue;
    worked += 1;
    tx.writes.push({
      kind: "item",
      item,
      value: latest.value + (values[2] as number),
      lasttick: tickMs,
      worker: values[3] as string,
      madeAtMs: engine.clock(),
    });
  }
  return counted(worked);
}

function* checkProof(
  engine: PostgresEngine,
  tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const [tickText, ringDigest, configDigest, lagMs] = values as [string, string, string, number];
  const tickMs = Date.parse(tickText);
  const sealed = engine.ticks.some(
    ({ tick }) =>
      tick.tickMs === tickMs && tick.ringDigest === ringDigest && tick.configDigest === configDigest,
  );
  return [{ sealed, young: tickMs > tx.nowMs - lagMs }];
}

function unworked(engine: PostgresEngine, slots: readonly number[], tickMs: number): Item[] {
  return engine.items.filter((item) => {
    const row = item.history[item.history.length - 1];
    return row !== undefined && slots.includes(item.slot) && row.lasttick < tickMs;
  });
}

function* unworkedIds(
  engine: PostgresEngine,
  _tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const found = unworked(engine, values[0] as number[], Date.parse(values[1] as string));
  return found.slice(0, values[2] as number).map(({ id }) => ({ id }));
}

function* hasUnworkedRows(
  engine: PostgresEngine,
  _tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  return [{ found: unworked(engine, values[0] as number[], Date.parse(values[1] as string)).length > 0 }];
}

function* countRows(
  engine: PostgresEngine,
  _tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const slots = values[0] as number[];
  const held = engine.items.filter((item) => slots.includes(item.slot) && item.history.length > 0);
  return [{ count: held.length }];
}

function* readWorkEvidence(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const [slots, worker, latelyMs, ageMs, ring] = values as [number[], string, number, number, number];
  const sealed = engine.ticks.findLast(({ tick }) => tick.tickMs <= engine.clock() - ageMs)?.tick;
  const newest = sealed?.tickMs;
  const documentOf = (kind: VersionKind, version: number | undefined) =>
    engine.versions.find(({ document }) => document.kind === kind && document.version === version)?.document;
  const config = documentOf("config", sealed?.config)?.body as Config | undefined;
  const rows = engine.items
    .filter((item) => slots.includes(item.slot))
    .map((item) => item.history[item.history.length - 1])
    .filter((row) => row !== undefined);
  const its = rows.filter((row) => row.worker === worker);
  const isAsked = text.includes("currentworker = $2");
  return [
    {
      ageMs: newest === undefined ? null : engine.clock() - newest,
      asksForAll: config !== undefined && !config.paused && config.maxRowsPerSecond === 0,
      ringIsSettled:
        (documentOf("ring", ring)?.activatesAtMs ?? Number.POSITIVE_INFINITY) <= tx.nowMs - latelyMs,
      hasRows: rows.some((row) => row.lasttick > Number.NEGATIVE_INFINITY),
      newest: isAsked && newest !== undefined && its.some((row) => row.lasttick >= newest),
      lately: isAsked && its.some((row) => row.lasttick > tx.nowMs - latelyMs),
    },
  ];
}

function* countSlotRows(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  const bySlot = new Map<number, number>();
  for (const { slot, history } of engine.items) {
    if (history.length > 0) bySlot.set(slot, (bySlot.get(slot) ?? 0) + 1);
  }
  return [...bySlot].map(([slot, rows]) => ({ slot, rows, ageMs: null }));
}

/** The lease is locked FOR SHARE and checked again if it changed; the base is checked by the snapshot alone. */
function* publishRing(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  const [holder, term, base, digest, body, createdBy, reason, notAfterMs] = values as [
    string,
    number,
    number,
    string,
    string,
    string,
    string,
    number,
  ];
  yield "turn";
  const snapshot = engine.csn;
  const stands = (lease: { holder: string | null; term: number; expiresAtMs: number } | undefined) =>
    lease !== undefined &&
    (!text.includes("holder = $1") || lease.holder === holder) &&
    (!text.includes("term = $2") || lease.term === term) &&
    (!text.includes("expires_at > clock_timestamp()") || lease.expiresAtMs > engine.clock());
  const seen = visible(engine.lease, snapshot).at(-1);
  if (!stands(seen)) return [];
  if (text.includes("FOR SHARE")) {
    yield { lock: engine.leaseLock, mode: "shared" };
    const latest = engine.lease.at(-1);
    if (latest !== seen && !stands(latest)) return [];
  }
  if (text.includes("clock_timestamp() <= to_timestamp($8") && engine.clock() > notAfterMs) return [];
  const highest = documentsOf(engine, snapshot, "ring")[0]?.version ?? 0;
  if (text.includes("$3::bigint = (SELECT coalesce(max(version)") && base !== highest) return [];
  const version = text.includes("$3::bigint + 1") ? base + 1 : highest + 1;
  const content = { digest, body: JSON.parse(body) as unknown, createdBy, reason };
  const columns = { kind: "ring", version, activatesAtMs: tx.nowMs, ...content } as const;
  return yield* insertVersion(engine, tx, columns, { base, holder, term });
}

/** By the primary key one of two at once gets through; the store takes the other's unique violation for a refusal. */
function* insertVersion(
  engine: PostgresEngine,
  tx: Transaction,
  columns: Omit<VersionDocument, "createdAtMs">,
  fence: { base: number; holder: string; term: number },
): Statement<Row[]> {
  const { kind, version } = columns;
  yield "turn";
  yield { lock: uniqueLock(engine, `${kind}/${version}`), mode: "exclusive" };
  if (documentsOf(engine, engine.csn, kind).some((document) => document.version === version)) return [];
  const document: VersionDocument & Row = { ...columns, createdAtMs: engine.clock() };
  tx.writes.push({ kind: "version", document, ...fence });
  return [document];
}

/** Base and time are checked by the snapshot; of two at once the primary key lets one through. */
function* publishConfig(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  const [base, activatesAtMs, digest, body, createdBy, reason] = values as [
    number,
    number,
    string,
    string,
    string,
    string,
  ];
  yield "turn";
  const highest = documentsOf(engine, engine.csn, "config")[0]?.version ?? 0;
  if (text.includes("$1::bigint = (SELECT coalesce(max(version)") && base !== highest) return [];
  if (text.includes("> clock_timestamp()") && activatesAtMs <= engine.clock()) return [];
  const content = { digest, body: JSON.parse(body) as unknown, createdBy, reason };
  const columns = { kind: "config", version: base + 1, activatesAtMs, ...content } as const;
  return yield* insertVersion(engine, tx, columns, { base, holder: "", term: 0 });
}

/** The ruling config and all above it, beside the time. */
function* readConfigSchedule(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  const nowMs = engine.clock();
  const ruling = activeConfig(engine, engine.csn, nowMs)?.version ?? 0;
  const documents = documentsOf(engine, engine.csn, "config").filter(({ version }) => version >= ruling);
  const common = { nowMs, delivered: false, newestDeliveryMs: null };
  if (documents.length === 0) return [{ ...common, version: null }];
  return documents.map((document) => ({ ...common, ...document }));
}

function* readHighest(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  const highest = (kind: VersionKind) => documentsOf(engine, engine.csn, kind)[0];
  return [
    {
      ring: highest("ring")?.version ?? 0,
      config: highest("config")?.version ?? 0,
      ringDigest: highest("ring")?.digest ?? null,
    },
  ];
}

function* readActiveVersion(
  engine: PostgresEngine,
  tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const kind = values[0] as VersionKind;
  const active = documentsOf(engine, engine.csn, kind).find((document) => document.activatesAtMs <= tx.nowMs);
  return active === undefined ? [] : [active as VersionDocument & Row];
}

function* readNewestVersions(
  engine: PostgresEngine,
  _tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const documents = documentsOf(engine, engine.csn, values[0] as VersionKind);
  return documents.slice(0, values[1] as number) as (VersionDocument & Row)[];
}

function* readVersion(
  engine: PostgresEngine,
  _tx: Transaction,
  _text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  yield "turn";
  const documents = documentsOf(engine, engine.csn, values[0] as VersionKind);
  return documents.filter((document) => document.version === values[1]) as (VersionDocument & Row)[];
}

function* acquireLease(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  const [holder, ttlMs] = values as [string, number];
  yield "turn";
  const isLeftAhead = (expiresAtMs: number) =>
    text.includes("expires_at > clock_timestamp() + 2 * $2") && expiresAtMs > engine.clock() + 2 * ttlMs;
  const isFree = (lease: { holder: string | null; expiresAtMs: number } | undefined) =>
    lease !== undefined &&
    (lease.holder === null || lease.expiresAtMs <= engine.clock() || isLeftAhead(lease.expiresAtMs));
  const seen = engine.lease.at(-1);
  if (!isFree(seen)) return [];
  yield { lock: engine.leaseLock, mode: "exclusive" };
  const latest = engine.lease.at(-1);
  if (latest === undefined || (latest !== seen && !isFree(latest))) return [];
  const term = latest.term + (text.includes("term = term + 1") ? 1 : 0);
  const lease = { holder, term, expiresAtMs: engine.clock() + ttlMs };
  tx.writes.push({ kind: "lease", lease, cause: "acquired" });
  return [{ term }];
}

function* changeOwnLease(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
  cause: "renewed" | "released",
): Statement<Row[]> {
  const [holder, term, ttlMs] = values as [string, number, number];
  yield "turn";
  const isOwn = (lease: { holder: string | null; term: number } | undefined) =>
    lease !== undefined && lease.holder === holder && (!text.includes("term = $2") || lease.term === term);
  const seen = engine.lease.at(-1);
  if (!isOwn(seen)) return counted(0);
  yield { lock: engine.leaseLock, mode: "exclusive" };
  const latest = engine.lease.at(-1);
  if (latest === undefined || (latest !== seen && !isOwn(latest))) return counted(0);
  const lease =
    cause === "renewed"
      ? { holder: latest.holder, term: latest.term, expiresAtMs: tx.nowMs + ttlMs }
      : { holder: null, term: latest.term, expiresAtMs: Number.NEGATIVE_INFINITY };
  tx.writes.push({ kind: "lease", lease, cause });
  return counted(1);
}

function renewLease(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  return changeOwnLease(engine, tx, text, values, "renewed");
}

function releaseLease(
  engine: PostgresEngine,
  tx: Transaction,
  text: string,
  values: readonly unknown[],
): Statement<Row[]> {
  return changeOwnLease(engine, tx, text, values, "released");
}

function* readDatabaseTime(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  return [{ now: engine.clock() }];
}

function* readLease(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  const lease = engine.lease.at(-1);
  const remainingMs = lease === undefined || lease.holder === null ? 0 : lease.expiresAtMs - engine.clock();
  return [{ holder: lease?.holder ?? null, term: lease?.term ?? 0, remainingMs }];
}

/** A sequence: never rolled back. */
function* nextIncarnation(engine: PostgresEngine): Statement<Row[]> {
  yield "turn";
  engine.incarnations += 1;
  return [{ incarnation: engine.incarnations }];
}
