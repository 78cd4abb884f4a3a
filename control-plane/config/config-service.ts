import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { Problem } from "../../core/http/problem.js";
import type { Queryable } from "../../core/postgres/database.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { announceVersion } from "../../core/redis/hints.js";
import type { RedisKeys } from "../../core/redis/keys.js";
import { type Config, configSchema } from "../../core/versions/config.js";
import { InvalidConfigError, parseConfig } from "../../core/versions/config-input.js";
import { pendingConfigs, placeConfig, rulingAt } from "../../core/versions/config-schedule.js";
import { publishConfig, readDatabaseNow, readFirstTicks } from "../../core/versions/config-store.js";
import { configDigest } from "../../core/versions/digest.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { readNewestVersions } from "../../core/versions/version-store.js";

/** Versions that the rules look at and the history lists. */
const NEWEST = 200;
/** Publishes without If-Match that meet another one are placed anew this often. */
const ATTEMPTS = 5;

export interface ConfigServiceOptions {
  db: Queryable;
  redis: Redis;
  keys: RedisKeys;
  fleet: string;
  log: Logger;
}

export interface ConfigChange {
  config: unknown;
  /** Epoch milliseconds; null: as soon as every worker can know. */
  wantedMs: number | null;
  replace: boolean;
  /** The highest version that the change was made on, or null to take whatever is highest. */
  ifMatch: number | null;
  createdBy: string;
  reason: string;
}

export interface ConfigEntry {
  version: number;
  digest: string;
  activatesAt: string;
  createdAt: string;
  createdBy: string;
  reason: string;
  config: Config;
}

interface Known {
  nowMs: number;
  highest: number;
  versions: (ConfigEntry & { activatesAtMs: number; tickMs: number })[];
}

/** Reads, schedules and cancels configs: what every replica can do. */
export class ConfigService {
  readonly #options: ConfigServiceOptions;

  constructor(options: ConfigServiceOptions) {
    this.#options = options;
  }

  /** `highest` is what If-Match names. */
  async read(): Promise<{ highest: number; current: ConfigEntry | null; upcoming: ConfigEntry[] }> {
    const known = await this.#known();
    const current = rulingAt(known.versions, known.nowMs);
    return {
      highest: known.highest,
      current: current === null ? null : entryOf(current),
      upcoming: pendingConfigs(known.versions, known.nowMs).map(entryOf),
    };
  }

  /** Newest first. `firstTick` is null for what never ruled, or not yet. */
  async history(): Promise<(ConfigEntry & { firstTick: string | null })[]> {
    const { versions } = await this.#known();
    const firstTicks = await readFirstTicks(this.#options.db);
    return versions.map((version) => {
      const tickMs = firstTicks.get(version.version);
      return { ...entryOf(version), firstTick: tickMs === undefined ? null : iso(tickMs) };
    });
  }

  /** Publishes a new version. Throws Problem. */
  async change(change: ConfigChange): Promise<ConfigEntry> {
    const config = parsed(change.config);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const known = await this.#known();
      refuseOutdated(change.ifMatch, known.highest);
      const placed = placeConfig({ ...change, versions: known.versions, nowMs: known.nowMs });
      if (placed.kind === "too_soon") throw tooSoon(change.wantedMs ?? known.nowMs, placed.earliestMs);
      if (placed.kind === "pending") throw pendingConflict(placed.version);
      const entry = await this.#publish(known, config, placed.activatesAtMs, change);
      if (entry !== null) return entry;
    }
    throw changedMeanwhile();
  }

  /** A new version with the content that rules before it takes the place of a pending one. Throws Problem. */
  async cancel(version: number, by: { createdBy: string; ifMatch: number | null }): Promise<ConfigEntry> {
    const known = await this.#known();
    refuseOutdated(by.ifMatch, known.highest);
    const pending = pendingConfigs(known.versions, known.nowMs);
    const at = pending.findIndex((each) => each.version === version);
    const cancelled = pending[at];
    if (cancelled === undefined) throw notPending(version, known);
    const later = pending[at + 1];
    if (later !== undefined) throw pendingConflict(later.version);
    const before = rulingAt(known.versions, cancelled.activatesAtMs - 1);
    if (before === null) throw notPending(version, known);
    const entry = await this.#publish(known, before.config, cancelled.activatesAtMs, {
      createdBy: by.createdBy,
      reason: `cancels version ${version}`,
    });
    if (entry === null) throw changedMeanwhile();
    return entry;
  }

  async #publish(
    known: Known,
    config: Config,
    activatesAtMs: number,
    by: { createdBy: string; reason: string },
  ): Promise<ConfigEntry | null> {
    const { db, log } = this.#options;
    const document = await publishConfig(db, {
      base: known.highest,
      activatesAtMs,
      digest: configDigest(config),
      body: config,
      createdBy: by.createdBy,
      reason: by.reason,
    });
    if (document === null) return null;
    const entry = entryOf(opened(document));
    log.info(
      { config: entry.version, activatesAt: entry.activatesAt, by: entry.createdBy },
      `config ${entry.version} is published: it rules from ${entry.activatesAt}`,
    );
    await this.#announce(document);
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

  async #known(): Promise<Known> {
    const documents = await readNewestVersions(this.#options.db, "config", NEWEST);
    const nowMs = await readDatabaseNow(this.#options.db);
    return { nowMs, highest: documents[0]?.version ?? 0, versions: documents.map(opened) };
  }
}

function opened(document: VersionDocument): Known["versions"][number] {
  const config = configSchema.parse(document.body);
  return {
    version: document.version,
    digest: document.digest,
    activatesAt: iso(document.activatesAtMs),
    createdAt: iso(document.createdAtMs),
    createdBy: document.createdBy,
    reason: document.reason,
    config,
    activatesAtMs: document.activatesAtMs,
    tickMs: config.tickMs,
  };
}

function entryOf({ activatesAtMs, tickMs, ...entry }: Known["versions"][number]): ConfigEntry {
  return entry;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function parsed(config: unknown): Config {
  try {
    return parseConfig(config);
  } catch (error) {
    if (!(error instanceof InvalidConfigError)) throw error;
    const { problems } = error;
    const title = "Invalid config";
    throw new Problem({ status: 422, code: error.code, title, detail: error.message, extra: { problems } });
  }
}

function refuseOutdated(ifMatch: number | null, highest: number): void {
  if (ifMatch === null || ifMatch === highest) return;
  throw new Problem({
    status: 412,
    code: "config_changed",
    title: "Config has changed",
    detail: `the change was made on version ${ifMatch}, the highest is ${highest}: read it and try again`,
    extra: { highest },
  });
}

function tooSoon(wantedMs: number, earliestMs: number): Problem {
  const earliest = iso(earliestMs);
  return new Problem({
    status: 422,
    code: "activation_too_soon",
    title: "Activation too soon",
    detail: `activatesAt ${iso(wantedMs)} is past, or too near for every worker to know: the earliest is ${earliest}`,
    extra: { earliest },
  });
}

function pendingConflict(version: number): Problem {
  return new Problem({
    status: 409,
    code: "config_pending",
    title: "Another config is pending",
    detail: `version ${version} is to rule later and would never: say replace, or cancel it first`,
    extra: { pending: version },
  });
}

function notPending(version: number, { versions, highest }: Known): Problem {
  const exists = versions.some((each) => each.version === version);
  return new Problem({
    status: exists ? 409 : 404,
    code: exists ? "config_not_pending" : "config_not_found",
    title: exists ? "Not pending" : "No such config",
    detail: exists
      ? `version ${version} is active already, or was replaced: only what is to come can be cancelled`
      : `there is no config version ${version}; the highest is ${highest}`,
  });
}

function changedMeanwhile(): Problem {
  return new Problem({
    status: 412,
    code: "config_changed",
    title: "Config has changed",
    detail: "others changed the config at the same moment, or its time has come: read it and try again",
  });
}
