import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { reasonWithAdvice } from "../tls/tls-advice.js";
import type { Queryable } from "./database.js";
import { missingSchema, UnknownSchemaError } from "./schema.js";

const PAUSE_MS = 250;

/**
 * Waits until Postgres answers and has the schema that this release knows, saying what it waits for.
 * Throws UnknownSchemaError where the database is ahead. `describe` hears the current obstacle, null at the end.
 */
export async function awaitSchema(
  db: Queryable,
  log: Logger,
  signal: AbortSignal,
  describe: (obstacle: string | null) => void,
): Promise<void> {
  let told = "";
  while (!signal.aborted) {
    const obstacle = await obstacleOf(db);
    describe(obstacle);
    if (obstacle === null) return;
    if (obstacle !== told) log.info(`waiting for ${obstacle}`);
    told = obstacle;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  throw new Error("stopped while waiting for the database");
}

async function obstacleOf(db: Queryable): Promise<string | null> {
  try {
    const missing = await missingSchema(db);
    return missing === null ? null : `schema ${missing}: run \`ringfleet migrate\``;
  } catch (error) {
    if (error instanceof UnknownSchemaError) throw error;
    return `Postgres: ${reasonWithAdvice("Postgres", error)}`;
  }
}
