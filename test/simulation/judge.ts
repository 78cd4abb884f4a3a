import { openRingSnapshot, type RingSnapshot } from "../../core/ring/view.js";
import type { SealedTick } from "../../core/ticks/sealed-tick.js";
import type { Config } from "../../core/versions/config.js";
import type { VersionDocument } from "../../core/versions/version.js";
import type { Host } from "./host.js";
import type { Item, PostgresEngine, Transaction, Witness, Write } from "./postgres-engine.js";
import { SLOTS } from "./world.js";

export interface Violation {
  rule: string;
  message: string;
  /** Virtual ms. */
  at: number;
}

interface Work {
  csn: number;
  host: Host;
  /** Database time at which the row was written, before its commit. */
  madeAtMs: number;
  before: number;
}

type WriteOf<K extends Write["kind"]> = Extract<Write, { kind: K }>;

/** A tick counts as over this long after its boundary: its lag and the slowest statement. */
const OVER_AFTER_MS = 2500;

/** Watches every commit, and holds it against the invariants. It knows nothing of what the processes believe. */
export class Judge implements Witness {
  readonly violations: Violation[] = [];
  /** Until when faults excuse a lost tick; -Infinity in runs where nothing does. */
  clockSteppedAt = Number.NEGATIVE_INFINITY;
  rowsWorked = 0;
  ticksSealed = 0;
  viewsPublished = 0;
  /** Whether every tick has to be worked completely: runs with planned changes only. */
  losesNothing = false;
  /** Beats come through in time, unless Redis is down for everybody or the process is cut from it. */
  redisIsMild = false;
  redisUpSince = 0;
  #postgres: PostgresEngine | null = null;
  readonly #workedAt = new Map<Host, number>();
  readonly #hosts = new Set<Host>();
  readonly #worked = new Map<string, Map<number, Work>>();
  #ticks = new Map<number, SealedTick & { csn: number }>();
  #documents = new Map<string, VersionDocument & { csn: number }>();
  readonly #snapshots = new Map<string, RingSnapshot>();
  #newest: (SealedTick & { csn: number }) | null = null;
  #checkedUpTo = Number.NEGATIVE_INFINITY;

  watch(postgres: PostgresEngine): void {
    this.#postgres = postgres;
  }

  born(host: Host): void {
    this.#hosts.add(host);
  }

  get newestTick(): SealedTick | null {
    return this.#newest;
  }

  /** Length of a tick under the newest one's config, ms; 0 before the first. */
  get strideMs(): number {
    return this.#newest === null ? 0 : (this.#config(this.#newest)?.tickMs ?? 0);
  }

  committed(tx: Transaction, csn: number): void {
    for (const write of tx.writes) {
      if (write.kind === "item") this.#rowWorked(tx, write, csn);
      else if (write.kind === "tick") this.#tickSealed(write.tick, csn);
      else if (write.kind === "version") this.#published(write, csn);
      else this.#leaseChanged(write);
    }
  }

  #rowWorked(tx: Transaction, { item, value, lasttick, madeAtMs }: WriteOf<"item">, csn: number): void {
    const { host } = tx;
    const who = `${host.name}/${host.incarnation}`;
    const before = item.history[item.history.length - 1];
    const works = this.#worked.get(item.id) ?? new Map<number, Work>();
    this.#worked.set(item.id, works);
    const tick = this.#ticks.get(lasttick);
    const what = `row ${item.id} (slot ${item.slot}) for tick ${lasttick} by ${who}`;
    const other = works.get(lasttick);
    if (other !== undefined) {
      this.#fail("S1", `${what}: worked before by ${other.host.name}/${other.host.incarnation}`);
    }
    if (before !== undefined && before.lasttick >= lasttick) {
      this.#fail("S1", `${what}: lasttick was ${before.lasttick}`);
    }
    works.set(lasttick, { csn, host, madeAtMs, before: before?.lasttick ?? Number.NEGATIVE_INFINITY });
    this.rowsWorked += 1;
    this.#workedAt.set(host, this.#postgres?.timeline.now ?? 0);
    if (tick === undefined) {
      this.#fail("S2", `${what}: that tick isn't sealed`);
      return;
    }
    const ring = this.#ring(tick);
    const owner = ring?.ownerOf(item.slot);
    if (owner?.incarnation !== host.incarnation) {
      this.#fail("S2", `${what}: ring ${tick.ring} gives it to ${owner?.worker}/${owner?.incarnation}`);
    }
    const config = this.#config(tick);
    if (config !== null && (value - (before?.value ?? 0) !== config.increment || config.paused)) {
      this.#fail("S3", `${what}: config ${tick.config} says +${config.increment}, paused ${config.paused}`);
    }
    for (const [key, { body }] of this.#documents) {
      if (!key.startsWith("ring/") || Number(key.slice(5)) > tick.ring) continue;
      const { seats } = body as { seats: { worker: string; incarnation: number }[] };
      const newer = seats.find((seat) => seat.worker === host.name && seat.incarnation > host.incarnation);
      if (newer !== undefined) this.#fail("S7", `${what}: superseded by ${newer.incarnation} in ${key}`);
    }
  }

  #tickSealed(tick: SealedTick, csn: number): void {
    const last = this.#newest;
    const what = `tick ${tick.tickMs} with ring ${tick.ring}, config ${tick.config}`;
    if (this.#ticks.has(tick.tickMs)) this.#fail("S6", `${what}: was sealed before`);
    if (last !== null && (tick.tickMs <= last.tickMs || tick.ring < last.ring || tick.config < last.config)) {
      this.#fail("S6", `${what} after tick ${last.tickMs} with ring ${last.ring}, config ${last.config}`);
    }
    const ring = this.#documents.get(`ring/${tick.ring}`);
    const config = this.#documents.get(`config/${tick.config}`);
    const isKnown = ring?.digest === tick.ringDigest && config?.digest === tick.configDigest;
    if (!isKnown) this.#fail("S2", `${what}: no such versions`);
    const isActive = (ring?.activatesAtMs ?? 0) <= tick.tickMs && (config?.activatesAtMs ?? 0) <= tick.tickMs;
    const onGrid = tick.tickMs % ((config?.body as Config | undefined)?.tickMs ?? 1) === 0;
    if (isKnown && !(isActive && onGrid)) this.#fail("S3", `${what}: not active yet, or off the grid`);
    this.#newest = { ...tick, csn };
    this.#ticks.set(tick.tickMs, this.#newest);
    this.ticksSealed += 1;
    if (this.losesNothing) this.#checkNothingLost(tick);
  }

  #published({ document, base, holder, term }: WriteOf<"version">, csn: number): void {
    const key = `${document.kind}/${document.version}`;
    if (this.#documents.has(key)) this.#fail("S6", `${key} is published twice`);
    this.#documents.set(key, { ...document, csn });
    if (document.kind !== "ring") return;
    this.viewsPublished += 1;
    const what = `ring ${document.version} by ${holder} in term ${term}`;
    const lease = this.#postgres?.lease.at(-1);
    if (lease?.term !== term || lease.holder !== holder) {
      this.#fail("S6", `${what}: ${lease?.holder} leads in term ${lease?.term}`);
    }
    if (base !== document.version - 1) this.#fail("S6", `${what}: planned on ring ${base}`);
    const { seats, dead } = document.body as RingSnapshot["view"];
    const names = new Set(seats.map((seat) => seat.worker));
    if (names.size < seats.length) this.#fail("S7", `${what}: a name sits twice`);
    for (const incarnation of dead) this.#checkEviction(what, incarnation);
    if (seats.length === 0 && this.losesNothing) this.#checkEmptyView(what, document.version);
  }

  /** A view without seats costs ticks: there must be nobody who could have been known to be there. */
  #checkEmptyView(what: string, version: number): void {
    const now = this.#postgres?.timeline.now ?? 0;
    const before = this.#documents.get(`ring/${version - 1}`)?.body as RingSnapshot["view"] | undefined;
    for (const { worker, incarnation } of before?.seats ?? []) {
      const host = [...this.#hosts].find((each) => each.incarnation === incarnation);
      if (host?.wasUndisturbedFor(2000) && !host.leaving) {
        this.#fail("L3", `${what} has no seats, but ${worker} sat and works`);
      }
    }
    if (!this.redisIsMild || now - this.redisUpSince < 4000) return;
    const waiting = [...this.#hosts].find(
      (host) => host.wasUndisturbedFor(4000) && !host.leaving && now - host.cutFromRedisAt > 4000,
    );
    if (waiting !== undefined) this.#fail("L3", `${what} has no seats, but ${waiting.name} is there`);
  }

  /** L3: whoever works its rows all along isn't declared dead, whatever Redis says. */
  #checkEviction(what: string, incarnation: number): void {
    const host = [...this.#hosts].find((each) => each.incarnation === incarnation);
    const wasReplaced = [...this.#hosts].some(
      (each) => each.name === host?.name && each.incarnation > incarnation,
    );
    if (host === undefined || wasReplaced || !this.losesNothing || !host.alive) return;
    if (!host.wasUndisturbedFor(8000)) return;
    const now = this.#postgres?.timeline.now ?? 0;
    const hasWorked = now - (this.#workedAt.get(host) ?? Number.NEGATIVE_INFINITY) < 1200;
    const isUnheard = !this.redisIsMild || now - host.cutFromRedisAt < 8000;
    if (!hasWorked && isUnheard) return;
    this.#fail("L3", `${what} declares ${host.name}/${incarnation} dead, which worked all along`);
  }

  #leaseChanged({ lease, cause }: WriteOf<"lease">): void {
    const before = this.#postgres?.lease.at(-1);
    const isNext = lease.term === (before?.term ?? 0) + (cause === "acquired" ? 1 : 0);
    if (!isNext) this.#fail("S6", `${lease.holder} ${cause} term ${lease.term} after ${before?.term}`);
  }

  /** S4: who was late with a tick, but in time by the rules, has lost it to a successor that should have waited. */
  overtaken(tx: Transaction, item: Item, tickMs: number): void {
    const tick = this.#ticks.get(tickMs);
    const works = this.#worked.get(item.id);
    const row = item.history[item.history.length - 1];
    const next = row === undefined ? undefined : this.#ticks.get(row.lasttick);
    if (tick === undefined || next === undefined || works === undefined || works.has(tickMs)) return;
    const overtaking = works.get(next.tickMs);
    const isAdjacent = ![...this.#ticks.keys()].some((at) => at > tickMs && at < next.tickMs);
    const isOwner = this.#ring(tick)?.incarnationOf(item.slot) === tx.host.incarnation;
    if (overtaking === undefined || !isAdjacent || !isOwner || overtaking.host === tx.host) return;
    if (overtaking.before === Number.NEGATIVE_INFINITY || this.#config(tick)?.paused) return;
    const at = this.#postgres?.timeline.now ?? 0;
    if (at - this.clockSteppedAt < 10_000) return;
    for (let version = tick.ring + 1; version <= next.ring; version++) {
      const view = this.#documents.get(`ring/${version}`)?.body as RingSnapshot["view"] | undefined;
      if (view?.dead.includes(tx.host.incarnation)) return;
    }
    const patienceMs = (this.#config(next)?.tickMs ?? 0) / 2 - 5;
    if (overtaking.madeAtMs - next.tickMs >= patienceMs) return;
    this.#fail(
      "S4",
      `row ${item.id}: ${tx.host.name}/${tx.host.incarnation} came with tick ${tickMs}, ` +
        `${overtaking.host.name}/${overtaking.host.incarnation} had worked the next already, ` +
        `${Math.round(overtaking.madeAtMs - next.tickMs)} ms after its boundary`,
    );
  }

  /** S4, L3: once every row was worked, no row misses a tick. */
  #checkNothingLost(newest: SealedTick): void {
    const over = [...this.#ticks.values()].filter(
      (tick) => tick.tickMs > this.#checkedUpTo && tick.tickMs <= newest.tickMs - OVER_AFTER_MS,
    );
    for (const tick of over) {
      const missing = this.unworked(tick);
      const isFirst = this.#checkedUpTo === Number.NEGATIVE_INFINITY;
      if (isFirst && missing.length > 0) continue;
      const last = this.#ticks.get(this.#checkedUpTo);
      if (missing.length > 0) this.#fail("S4", `tick ${tick.tickMs} lost rows ${missing.join(" ")}`);
      const strideMs = this.#config(tick)?.tickMs ?? 0;
      if (last !== undefined && last.config === tick.config && tick.tickMs - last.tickMs !== strideMs) {
        this.#fail("S4", `no tick was opened between ${last.tickMs} and ${tick.tickMs}`);
      }
      this.#checkedUpTo = tick.tickMs;
    }
  }

  /** Rows that nobody worked for a tick; none where its config pauses work. */
  unworked(tick: SealedTick): string[] {
    const config = this.#config(tick);
    // A bound on rows leaves rows behind, as it should; a view without seats is judged when it is published.
    if (config === null || config.paused || config.maxRowsPerSecond > 0) return [];
    if (this.#ring(tick)?.view.seats.length === 0) return [];
    const items = (this.#postgres?.items ?? []).filter(
      ({ bornAtMs, history }) => bornAtMs < tick.tickMs && history.length > 0,
    );
    return items.filter(({ id }) => this.#worked.get(id)?.has(tick.tickMs) !== true).map(({ id }) => id);
  }

  /** L1: the most ticks that one row has lost, from the first tick on that was worked whole. */
  largestGap(): number {
    const newest = this.#newest?.tickMs ?? 0;
    const over = [...this.#ticks.values()]
      .filter(({ tickMs }) => tickMs <= newest - OVER_AFTER_MS)
      .sort((a, b) => a.tickMs - b.tickMs);
    const lost = new Map<string, number>();
    const begun = over.findIndex((tick) => this.unworked(tick).length === 0);
    for (const tick of begun < 0 ? [] : over.slice(begun)) {
      for (const id of this.unworked(tick)) lost.set(id, (lost.get(id) ?? 0) + 1);
    }
    return Math.max(0, ...lost.values());
  }

  /** L2: asked when faults are over. What keeps the newest ticks from being complete, or null. */
  unfinished(databaseNowMs: number): string | null {
    const ticks = [...this.#ticks.values()].sort((a, b) => b.tickMs - a.tickMs).slice(0, 4);
    const [newest] = ticks;
    if (newest === undefined) return "no tick was ever sealed";
    const strideMs = this.#config(newest)?.tickMs ?? 1000;
    if (databaseNowMs - newest.tickMs > 2 * strideMs) return `no tick after ${newest.tickMs}`;
    for (const tick of ticks.slice(1)) {
      const missing = this.unworked(tick);
      if (missing.length > 0) return `tick ${tick.tickMs} lacks rows ${missing.join(" ")}`;
    }
    return null;
  }

  liveness(message: string): void {
    this.#fail("L2", message);
  }

  rolledBackTo(csn: number): void {
    const survives = (entry: [unknown, { csn: number }]) => entry[1].csn <= csn;
    this.#ticks = new Map([...this.#ticks].filter(survives));
    this.#documents = new Map([...this.#documents].filter(survives));
    for (const works of this.#worked.values()) {
      for (const [tick, work] of works) if (work.csn > csn) works.delete(tick);
    }
    this.#newest = [...this.#ticks.values()].sort((a, b) => b.tickMs - a.tickMs)[0] ?? null;
  }

  #ring(tick: SealedTick): RingSnapshot | null {
    const held = this.#snapshots.get(tick.ringDigest);
    if (held !== undefined) return held;
    const document = this.#documents.get(`ring/${tick.ring}`);
    if (document === undefined) return null;
    const snapshot = openRingSnapshot(document, SLOTS);
    this.#snapshots.set(document.digest, snapshot);
    return snapshot;
  }

  #config(tick: SealedTick): Config | null {
    return (this.#documents.get(`config/${tick.config}`)?.body as Config | undefined) ?? null;
  }

  #fail(rule: string, message: string): void {
    this.violations.push({ rule, message, at: this.#postgres?.timeline.now ?? 0 });
  }
}
