import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { reasonWithAdvice } from "../tls/tls-advice.js";
import type { Queryable } from "./database.js";
import { fleetId, missingSchema, nextIncarnation, UnknownSchemaError } from "./schema.js";

const PAUSE_MS = 250;

/** What a process is known by. */
export interface Entry {
  /** This database's fleet, a uuid. */
  fleet: string;
  incarnation: number;
}

/**
 * Waits until Postgres answers, has the schema that this release knows, and gives this process a number, saying
 * what it waits for: an outage at any step of it, a standby, or a right that is missing, ends no process.
 * Throws UnknownSchemaError where the database is ahead. `describe` hears the current obstacle, null at the end.
 */
export async function enterFleet(
  db: Queryable,
  log: Logger,
  signal: AbortSignal,
  describe: (obstacle: string | null) => void,
): Promise<Entry> {
  let told = "";
  while (!signal.aborted) {
    const entry = await tryToEnter(db);
    if (typeof entry !== "string") {
      describe(null);
      return entry;
    }
    describe(entry);
    if (entry !== told) log.info(`waiting for ${entry}`);
    told = entry;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  throw new Error("stopped while waiting for the database");
}

/** The entry, or what stands in its way. */
async function tryToEnter(db: Queryable): Promise<Entry | string> {
  try {
    const missing = await missingSchema(db);
    if (missing !== null) return `schema ${missing}: run \`ringfleet migrate\``;
    return { fleet: await fleetId(db), incarnation: await nextIncarnation(db) };
  } catch (error) {
    if (error instanceof UnknownSchemaError) throw error;
    return `Postgres: ${reasonWithAdvice("Postgres", error)}`;
  }
}
