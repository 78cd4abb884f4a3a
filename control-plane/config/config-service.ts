import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { announceVersion } from "../../core/redis/hints.js";
import type { RedisKeys } from "../../core/redis/keys.js";
import { type Config, configSchema } from "../../core/versions/config.js";
import { InvalidConfigError, parseConfig } from "../../core/versions/config-input.js";
import {
  pendingConfigs,
  placeConfig,
  repeatsContent,
  rulingAt,
} from "../../core/versions/config-schedule.js";
import {
  publishConfig,
  readConfigPage,
  readConfigSchedule,
  readFirstTicks,
} from "../../core/versions/config-store.js";
import { configDigest } from "../../core/versions/digest.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { readVersion } from "../../core/versions/version-store.js";
import {
  type ConfigAnswer,
  type ConfigEntry,
  configEntry,
  type HistoryAnswer,
  type HistoryEntry,
  isoTime,
} from "./config-entry.js";
import {
  cancelLaterFirst,
  changedMeanwhile,
  configNotFound,
  invalidConfig,
  notPending,
  notRepeatable,
  outdated,
  pendingConflict,
  tooSoon,
} from "./config-problems.js";

/** Publishes without If-Match that meet another one are placed anew this often. */
const ATTEMPTS = 5;

export interface ConfigServiceOptions {
  db: Queryable;
  redis: Redis;
  keys: RedisKeys;
  fleet: string;
  log: Logger;
}

/** When a config is to rule, by the database's clock; null: as soon as every worker can know. */
export type WantedTime = { atMs: number } | { inMs: number } | null;

export interface ConfigChange {
  config: unknown;
  wanted: WantedTime;
  replace: boolean;
  /** The highest version that the change was made on, or null to take whatever is highest. */
  ifMatch: number | null;
  createdBy: string;
  reason: string;
}

/** The configs that rule now or may rule later. */
export interface Schedule {
  nowMs: number;
  /** 0 where there is no config. */
  highest: number;
  versions: ScheduledVersion[];
  /** The same as they are stored. */
  documents: VersionDocument[];
  /** Whether the webhook message asked about was taken before. */
  delivered: boolean;
  /** When the newest webhook message was taken; null: none is known. */
  newestDeliveryMs: number | null;
}

interface ScheduledVersion {
  version: number;
  activatesAtMs: number;
  tickMs: number;
  /** Of what nobody published: none that a config has. */
  digest: string;
  createdBy: string;
  /** Null where the row doesn't hold what was published, or holds what this release doesn't know. */
  config: Config | null;
}

export interface Publication {
  config: Config;
  activatesAtMs: number;
  createdBy: string;
  reason: string;
  /** Id of the webhook message that asked for it. */
  delivery?: string;
}

export interface Cancellation {
  createdBy: string;
  /** Null: said by itself. */
  reason: string | null;
  ifMatch: number | null;
}

/** Reads, schedules and cancels configs: what every replica can do. */
export class ConfigService {
  readonly #options: ConfigServiceOptions;

  constructor(options: ConfigServiceOptions) {
    this.#options = options;
  }

  async read(): Promise<ConfigAnswer> {
    const { nowMs, highest, versions, documents } = await this.schedule();
    const entries = new Map(documents.map((document) => [document.version, configEntry(document)]));
    const current = rulingAt(versions, nowMs);
    return {
      now: isoTime(nowMs),
      highest,
      current: entries.get(current?.version ?? 0) ?? null,
      upcoming: pendingConfigs(versions, nowMs).flatMap(({ version }) => entries.get(version) ?? []),
    };
  }

  /** Versions below `before` (null: all), newest first, at most `limit`. */
  async history(before: number | null, limit: number): Promise<HistoryAnswer> {
    const documents = await readConfigPage(this.#options.db, before, limit);
    const lowest = documents.at(-1)?.version ?? 1;
    return {
      versions: await this.#withFirstTicks(documents),
      before: documents.length < limit || lowest === 1 ? null : lowest,
    };
  }

  /** Throws Problem. */
  async version(version: number): Promise<HistoryEntry> {
    const document = await readVersion(this.#options.db, "config", version);
    const [entry] = document === null ? [] : await this.#withFirstTicks([document]);
    if (entry === undefined) throw configNotFound(version);
    return entry;
  }

  /** Publishes a new version. Throws Problem. */
  async change(change: ConfigChange): Promise<ConfigEntry> {
    const config = checkedConfig(change.config);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const known = await this.schedule();
      refuseOutdated(change.ifMatch, known.highest);
      const wantedMs = wantedTime(change.wanted, known.nowMs);
      const mayReplace = (each: ScheduledVersion) => change.replace || repeatsContent(known.versions, each);
      const placed = placeConfig({ ...known, wantedMs, mayReplace });
      if (placed.kind === "too_soon") throw tooSoon(wantedMs ?? known.nowMs, placed.earliestMs);
      if (placed.kind === "pending") throw pendingConflict(placed.version);
      const entry = await this.publish(known.highest, { ...placed, ...change, config });
      if (entry !== null) return entry;
    }
    throw changedMeanwhile();
  }

  /** A new version repeats the content that rules before a pending one, so that that never rules. Throws Problem. */
  async cancel(version: number, by: Cancellation): Promise<ConfigEntry> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const known = await this.schedule();
      refuseOutdated(by.ifMatch, known.highest);
      const { config, activatesAtMs } = cancellation(version, known);
      const { createdBy, reason } = by;
      const entry = await this.publish(known.highest, {
        config,
        activatesAtMs,
        createdBy,
        reason: reason ?? `cancels version ${version}`,
      });
      if (entry !== null) return entry;
    }
    throw changedMeanwhile();
  }

  /** `delivery`: id of a webhook message to ask about as well. */
  async schedule(delivery: string | null = null): Promise<Schedule> {
    const schedule = await readConfigSchedule(this.#options.db, delivery);
    return { ...schedule, versions: schedule.documents.map(scheduledVersion) };
  }

  /** Publishes version `base` + 1 and tells everybody; null where Postgres refuses it (see publishConfig). */
  async publish(base: number, publication: Publication): Promise<ConfigEntry | null> {
    const { db, log } = this.#options;
    const document = await publishConfig(db, {
      base,
      activatesAtMs: publication.activatesAtMs,
      digest: configDigest(publication.config),
      body: publication.config,
      createdBy: publication.createdBy,
      reason: publication.reason,
      delivery: publication.delivery ?? null,
    });
    if (document === null) return null;
    // Not waited for: it never fails, and a Redis that doesn't answer must not keep the answer.
    void this.#announce(document);
    const entry = configEntry(document);
    log.info(
      { config: entry.version, activatesAt: entry.activatesAt, by: entry.createdBy },
      `config ${entry.version} is published: it rules from ${entry.activatesAt}`,
    );
    return entry;
  }

  /** Without Redis the config is as valid: workers read it when a tick is sealed with it. */
  async #announce(document: VersionDocument): Promise<void> {
    const { redis, keys, fleet, log } = this.#options;
    try {
      await announceVersion(redis, keys, fleet, document);
    } catch (error) {
      log.warn(`config ${document.version} is published, but not announced: ${reasonOf(error)}`);
    }
  }

  async #withFirstTicks(documents: readonly VersionDocument[]): Promise<HistoryEntry[]> {
    const [highest, lowest] = [documents[0]?.version ?? 0, documents.at(-1)?.version ?? 0];
    const firstTicks = await readFirstTicks(this.#options.db, lowest, highest);
    return documents.map((document) => {
      const tickMs = firstTicks.get(document.version);
      return { ...configEntry(document), firstTick: tickMs === undefined ? null : isoTime(tickMs) };
    });
  }
}

/** What a row that somebody has changed by hand holds must not keep anybody from publishing the next config. */
function scheduledVersion(document: VersionDocument): ScheduledVersion {
  const { version, activatesAtMs, digest, createdBy, body } = document;
  const parsed = configSchema.safeParse(body);
  const config = parsed.success && configDigest(parsed.data) === digest ? parsed.data : null;
  return {
    version,
    activatesAtMs,
    tickMs: gridOf(body),
    digest: config === null ? `unproven ${version}` : digest,
    createdBy,
    config,
  };
}

/** Without a grid no tick is sealed, so that any moment will do for the config that follows. */
function gridOf(body: unknown): number {
  const parsed = configSchema.shape.tickMs.safeParse((body as { tickMs?: unknown } | null)?.tickMs);
  return parsed.success ? parsed.data : 1;
}

/** What a version that cancels `version` holds, and when it is to rule. Throws Problem. */
function cancellation(version: number, { nowMs, highest, versions }: Schedule) {
  if (version > highest) throw configNotFound(version);
  const pending = pendingConfigs(versions, nowMs);
  const at = pending.findIndex((each) => each.version === version);
  const cancelled = pending[at];
  if (cancelled === undefined) throw notPending(version);
  // What a cancellation has left there repeats this one, and goes with it.
  const later = pending.slice(at + 1).find((each) => !repeatsContent(versions, each));
  if (later !== undefined) throw cancelLaterFirst(later.version);
  const before = rulingAt(versions, cancelled.activatesAtMs - 1);
  if (before === null) throw notPending(version);
  if (before.config === null) throw notRepeatable(before.version);
  return {
    config: before.config,
    // What rules now is repeated at once; what is to come first can't be repeated before it has come.
    activatesAtMs: at === 0 ? soonest(versions, nowMs, cancelled.activatesAtMs) : cancelled.activatesAtMs,
  };
}

/** The earliest moment that every worker can know, at most `latestMs`. */
function soonest(versions: ScheduledVersion[], nowMs: number, latestMs: number): number {
  const placed = placeConfig({ versions, nowMs, wantedMs: null, mayReplace: () => true });
  return placed.kind === "at" ? Math.min(placed.activatesAtMs, latestMs) : latestMs;
}

/** Throws Problem 422. */
export function checkedConfig(config: unknown): Config {
  try {
    return parseConfig(config);
  } catch (error) {
    throw error instanceof InvalidConfigError ? invalidConfig(error) : error;
  }
}

function wantedTime(wanted: WantedTime, nowMs: number): number | null {
  if (wanted === null) return null;
  return "atMs" in wanted ? wanted.atMs : nowMs + wanted.inMs;
}

function refuseOutdated(ifMatch: number | null, highest: number): void {
  if (ifMatch !== null && ifMatch !== highest) throw outdated(ifMatch, highest);
}
