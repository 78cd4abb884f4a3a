import type { Queryable } from "../postgres/database.js";
import { SLOT_COUNT } from "../ring/slots.js";
import { openRingSnapshot, type RingSnapshot } from "../ring/view.js";
import { type Config, configSchema } from "./config.js";
import { configDigest } from "./digest.js";
import type { VersionDocument, VersionKind } from "./version.js";
import { readVersion } from "./version-store.js";

/** Opened documents of each kind that are kept: the sealed one, its predecessors, and what is pending. */
const KEPT = 8;

/** A document's content doesn't give its digest: it was changed, or this release computes it differently. */
export class ConfigDigestMismatchError extends Error {
  constructor(version: number) {
    super(`config version ${version} does not give the digest it was published with`);
  }
}

/** A sealed tick names a version that table `versions` doesn't hold. */
export class VersionNotFoundError extends Error {
  constructor(kind: VersionKind, version: number) {
    super(`${kind} version ${version} is sealed but not in table versions`);
  }
}

/**
 * Holds the documents that rule this tick and the next ones. Hints bring them early; what a sealed tick names
 * and nobody brought is read from Postgres. Whatever its source, a document counts by its digest alone.
 */
export class VersionFollower {
  readonly #db: Queryable;
  readonly #slotCount: number;
  readonly #rings = new Map<string, RingSnapshot>();
  readonly #configs = new Map<string, Config>();
  readonly #hinted = new Map<string, VersionDocument>();

  constructor(db: Queryable, slotCount = SLOT_COUNT) {
    this.#db = db;
    this.#slotCount = slotCount;
  }

  /** Takes a document that a hint brought. It is opened when a sealed tick names it. */
  accept(document: VersionDocument): void {
    remember(this.#hinted, keyOf(document.kind, document.version, document.digest), document);
  }

  /** The ring view that a sealed tick names. Throws where it can't be had, or gives another digest. */
  async ring(version: number, digest: string): Promise<RingSnapshot> {
    const key = keyOf("ring", version, digest);
    const held = this.#rings.get(key);
    if (held !== undefined) return held;
    const snapshot = openRingSnapshot(await this.#document("ring", version, digest), this.#slotCount);
    if (snapshot.digest !== digest) throw new VersionNotFoundError("ring", version);
    remember(this.#rings, key, snapshot);
    return snapshot;
  }

  /** The config that a sealed tick names. Throws where it can't be had, or gives another digest. */
  async config(version: number, digest: string): Promise<Config> {
    const key = keyOf("config", version, digest);
    const held = this.#configs.get(key);
    if (held !== undefined) return held;
    const config = configSchema.parse((await this.#document("config", version, digest)).body);
    if (configDigest(config) !== digest) throw new ConfigDigestMismatchError(version);
    remember(this.#configs, key, config);
    return config;
  }

  /** Forgets what hints brought: the next call for a sealed version reads Postgres. */
  distrustHints(): void {
    this.#hinted.clear();
  }

  async #document(kind: VersionKind, version: number, digest: string): Promise<VersionDocument> {
    const hinted = this.#hinted.get(keyOf(kind, version, digest));
    if (hinted !== undefined) return hinted;
    const stored = await readVersion(this.#db, kind, version);
    if (stored === null) throw new VersionNotFoundError(kind, version);
    return stored;
  }
}

function keyOf(kind: VersionKind, version: number, digest: string): string {
  return `${kind}/${version}/${digest}`;
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= KEPT) break;
    map.delete(oldest);
  }
}
