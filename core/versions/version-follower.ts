import type { Queryable } from "../postgres/database.js";
import { SLOT_COUNT } from "../ring/slots.js";
import { openRingSnapshot, RingDigestMismatchError, type RingSnapshot } from "../ring/view.js";
import { type Config, configSchema } from "./config.js";
import { configDigest } from "./digest.js";
import type { VersionDocument, VersionKind } from "./version.js";
import { readVersion } from "./version-store.js";

/** Opened documents of each kind that are kept: the sealed one, its predecessors, and what is pending. */
const KEPT = 8;

/** The document that a sealed tick names can't be had, or isn't what was published: nobody may work by it. */
export class UnprovenVersionError extends Error {
  readonly kind: VersionKind;
  readonly version: number;

  constructor(kind: VersionKind, version: number, why: string, options?: ErrorOptions) {
    super(`${kind} version ${version} ${why}`, options);
    this.name = "UnprovenVersionError";
    this.kind = kind;
    this.version = version;
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

  /** Takes a document that a hint brought. It is opened when a sealed tick names it. Returns whether it is new here. */
  accept(document: VersionDocument): boolean {
    const key = keyOf(document.kind, document.version, document.digest);
    const isNew = !(this.#hinted.has(key) || this.#configs.has(key) || this.#rings.has(key));
    remember(this.#hinted, key, document);
    return isNew;
  }

  /** The ring view that a sealed tick names. Throws UnprovenVersionError; and what reading Postgres throws. */
  async ring(version: number, digest: string): Promise<RingSnapshot> {
    const key = keyOf("ring", version, digest);
    const held = this.#rings.get(key);
    if (held !== undefined) return held;
    const document = await this.#document("ring", version, digest);
    const snapshot = opened(document, () => openRingSnapshot(document, this.#slotCount));
    if (snapshot.digest !== digest) throw otherDigest("ring", version);
    remember(this.#rings, key, snapshot);
    return snapshot;
  }

  /** The config that a sealed tick names. Throws UnprovenVersionError; and what reading Postgres throws. */
  async config(version: number, digest: string): Promise<Config> {
    const key = keyOf("config", version, digest);
    const held = this.#configs.get(key);
    if (held !== undefined) return held;
    const document = await this.#document("config", version, digest);
    const config = opened(document, () => configSchema.parse(document.body));
    if (configDigest(config) !== digest) throw otherDigest("config", version);
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
    if (stored === null) throw new UnprovenVersionError(kind, version, "is sealed but not in table versions");
    return stored;
  }
}

function opened<T>({ kind, version }: VersionDocument, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof RingDigestMismatchError) throw otherDigest(kind, version, cause);
    throw new UnprovenVersionError(kind, version, "has a form that this release doesn't know", { cause });
  }
}

function otherDigest(kind: VersionKind, version: number, cause?: unknown): UnprovenVersionError {
  return new UnprovenVersionError(kind, version, "does not give the digest that the tick is sealed with", {
    cause,
  });
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
