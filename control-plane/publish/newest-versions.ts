import type { Queryable } from "../../core/postgres/database.js";
import { SLOT_COUNT } from "../../core/ring/slots.js";
import { openRingSnapshot, type RingSnapshot } from "../../core/ring/view.js";
import { type Config, configSchema } from "../../core/versions/config.js";
import type { VersionDocument } from "../../core/versions/version.js";
import {
  readActiveVersion,
  readHighestVersions,
  readNewestVersions,
} from "../../core/versions/version-store.js";

/** How long what was read may be taken for the newest without asking again. */
const REFRESH_MS = 1000;

export interface NewestRing {
  document: VersionDocument;
  snapshot: RingSnapshot;
}

/** The highest ring view (what a plan builds on) and the config in force, as this replica last read them. */
export class NewestVersions {
  readonly #db: Queryable;
  readonly #slotCount: number;
  #ring: NewestRing | null = null;
  #config: Config | null = null;
  #loaded = false;
  /** Views published by this replica: what was read before one is older than it. */
  #taken = 0;

  constructor(db: Queryable, slotCount = SLOT_COUNT) {
    this.#db = db;
    this.#slotCount = slotCount;
  }

  get ring(): NewestRing | null {
    return this.#ring;
  }

  /** The config in force, or null where there is none yet. */
  get config(): Config | null {
    return this.#config;
  }

  /** Whether Postgres has been asked at all: before that, null means unknown. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Takes a view that this replica has published itself. */
  took(ring: NewestRing): void {
    this.#taken += 1;
    this.#ring = ring;
  }

  get #version(): number {
    return this.#ring?.document.version ?? 0;
  }

  /** Reads what has changed. Returns the milliseconds until the next step. */
  async step(): Promise<number> {
    const takenBefore = this.#taken;
    const highest = await readHighestVersions(this.#db);
    // Postgres is the authority also where it has less than before: a failover may have lost a version.
    if (highest.ringDigest !== (this.#ring?.document.digest ?? null) || highest.ring !== this.#version) {
      const [document] = await readNewestVersions(this.#db, "ring", 1);
      const ring =
        document === undefined ? null : { document, snapshot: openRingSnapshot(document, this.#slotCount) };
      if (takenBefore === this.#taken) this.#ring = ring;
    }
    const active = await readActiveVersion(this.#db, "config");
    // One that can't be read is worked by nobody: plans and the API go on with the last that could.
    const parsed = configSchema.safeParse(active?.body);
    if (parsed.success) this.#config = parsed.data;
    this.#loaded = true;
    return REFRESH_MS;
  }
}
