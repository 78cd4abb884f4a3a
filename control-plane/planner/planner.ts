import type { Logger } from "pino";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { imbalance } from "../../core/ring/balance.js";
import type { RingSnapshot } from "../../core/ring/view.js";
import type { Observer } from "../membership/observer.js";
import { eligibleJoiners, fleetProgress, hasNewcomers } from "../membership/roster.js";
import { type FleetProgress, isSuspect, judge, type Verdict } from "../membership/verdict.js";
import { readWorkEvidence } from "../membership/work-evidence-store.js";
import type { NewestVersions } from "../publish/newest-versions.js";
import type { RingPublisher } from "../publish/ring-publisher.js";
import type { PlannerMetrics } from "./planner-metrics.js";
import { Removals } from "./removals.js";
import { decideReshape, type ReshapeSettings, type SeatedWorker } from "./reshape.js";
import type { SlotRowsCache } from "./slot-rows-cache.js";

const LOOK_MS = 250;
/** Views that level a drift come no closer than this. */
const LEVEL_PAUSE_MS = 2000;

export interface PlannerOptions {
  db: Queryable;
  observer: Observer;
  newest: NewestVersions;
  slotRows: SlotRowsCache;
  publisher: RingPublisher;
  /** The term this replica leads, or null. */
  term: () => number | null;
  settings: ReshapeSettings;
  metrics: PlannerMetrics;
  monotonicNow: () => number;
  log: Logger;
}

/**
 * The leader's loop: who is there → who should sit → plan → publish. It does nothing while this replica doesn't
 * lead, nor while it is blind (Redis or Postgres unreachable): a blind leader declares nobody dead.
 */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #removals = new Removals();
  #leavingSince = new Map<number, number>();
  #leveledAt = Number.NEGATIVE_INFINITY;
  /** Why Postgres can't be asked about a suspect; null while it can. */
  #unasked: string | null = null;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** One look. Returns the milliseconds until the next. */
  async step(): Promise<number> {
    const { observer, newest, settings, monotonicNow, term } = this.#options;
    const now = monotonicNow();
    const leads = term();
    if (leads === null || !newest.loaded || !observer.sees(now)) return LOOK_MS;
    const ring = newest.ring?.snapshot ?? null;
    const progress = fleetProgress(
      observer.membership,
      newest.config?.tickMs ?? 1000,
      observer.settings,
      now,
    );
    const seated = await this.#seatedWorkers(ring, progress, now);
    const incarnations = new Set(seated.map((worker) => worker.incarnation));
    const joiners = eligibleJoiners(observer.membership, incarnations, progress, observer.settings, now).map(
      (member) => ({ member, removals: this.#removals.count(member.name, now) }),
    );
    const { reshape, askAgainMs } = decideReshape(seated, joiners, settings, now);
    // The last ones who leave work on until it is clear whether a newcomer takes over.
    const isTooSoon =
      reshape?.members.length === 0 &&
      hasNewcomers(observer.membership, incarnations, observer.settings, now);
    if (reshape !== null && !isTooSoon) {
      await this.#publish(leads, reshape.members, reshape.dead, reshape.reason);
      for (const worker of seated) {
        if (reshape.dead.includes(worker.incarnation)) this.#removals.add(worker.worker, now);
      }
      return LOOK_MS;
    }
    if (ring !== null) await this.#level(leads, ring, seated, now);
    return Math.min(LOOK_MS, askAgainMs ?? LOOK_MS);
  }

  async #seatedWorkers(
    ring: RingSnapshot | null,
    progress: FleetProgress | null,
    now: number,
  ): Promise<SeatedWorker[]> {
    const since = new Map<number, number>();
    const seated: SeatedWorker[] = [];
    for (const seat of ring?.view.seats ?? []) {
      const { worker, incarnation, weight, revision } = seat;
      const verdict = await this.#verdictOn(ring, worker, incarnation, progress, now);
      if (verdict !== "live") since.set(incarnation, this.#leavingSince.get(incarnation) ?? now);
      const leavingSince = since.get(incarnation) ?? null;
      seated.push({ worker, incarnation, weight, revision, verdict, leavingSince });
    }
    this.#leavingSince = since;
    return seated;
  }

  async #verdictOn(
    ring: RingSnapshot | null,
    worker: string,
    incarnation: number,
    progress: FleetProgress | null,
    now: number,
  ): Promise<Verdict> {
    const { observer, db, log, newest } = this.#options;
    const member = observer.membership.expect(worker, incarnation, now);
    const newestOfName = observer.membership.newestOf(worker);
    const suspect = newestOfName <= incarnation && isSuspect(member, progress, observer.settings, now);
    let evidence = null;
    if (suspect && ring !== null) {
      const latelyMs = Math.max(observer.settings.deadAfterMs, 1.5 * (newest.config?.tickMs ?? 1000));
      try {
        const its = { version: ring.version, slots: ring.slotsOf(incarnation) };
        evidence = await readWorkEvidence(db, worker, its, latelyMs);
        this.#unasked = null;
      } catch (error) {
        const reason = reasonOf(error);
        if (reason !== this.#unasked) log.warn(`can't ask Postgres about ${worker}: ${reason}`);
        this.#unasked = reason;
      }
    }
    return judge(member, newestOfName, progress, evidence, observer.settings, now);
  }

  async #publish(
    term: number,
    members: Parameters<RingPublisher["publish"]>[0]["members"],
    dead: readonly number[],
    reason: string,
  ): Promise<void> {
    const { publisher, slotRows, observer, monotonicNow } = this.#options;
    const decidedAt = monotonicNow();
    // What came before may have taken its time: who is there must have been seen just now.
    if (!observer.sees(decidedAt)) return;
    await publisher.publish({ term, members, dead, reason, decidedAt, slotRows: await slotRows.forPlan() });
  }

  /** Levels the load where rows have drifted past what the plan left. */
  async #level(
    term: number,
    ring: RingSnapshot,
    seated: readonly SeatedWorker[],
    now: number,
  ): Promise<void> {
    const { slotRows, observer, metrics } = this.#options;
    if (reportsDrift(seated, observer)) slotRows.hurry();
    const counted = slotRows.newest;
    if (counted === null || ring.view.seats.length === 0) return;
    const { ratio, drifted } = imbalance(ring, counted.rows);
    metrics.imbalance(ratio);
    if (!drifted || now - this.#leveledAt < LEVEL_PAUSE_MS) return;
    this.#leveledAt = now;
    const members = seated.map(({ worker, incarnation, weight, revision }) => {
      return { worker, incarnation, weight, revision };
    });
    await this.#publish(term, members, [], "level");
  }
}

/** Whether the rows that workers report are far enough apart to count the table again. */
function reportsDrift(seated: readonly SeatedWorker[], observer: Observer): boolean {
  const rows = seated.map((worker) => observer.membership.get(worker.incarnation)?.heartbeat?.rows ?? 0);
  const mean = rows.reduce((sum, count) => sum + count, 0) / Math.max(1, rows.length);
  return Math.max(...rows) > Math.max(1.1 * mean, mean + 1);
}
