import pg from "pg";

/** SQLSTATE of a Postgres error, or null for anything else (a broken connection, a bug). */
export function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError && error.code !== undefined ? error.code : null;
}

export const SQLSTATE = {
  lockNotAvailable: "55P03",
  queryCanceled: "57014",
  serializationFailure: "40001",
  deadlockDetected: "40P01",
  uniqueViolation: "23505",
  undefinedTable: "42P01",
  readOnly: "25006",
} as const;

/** The short reason that a log line needs, without stack. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
