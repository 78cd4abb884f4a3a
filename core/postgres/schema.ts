import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { projectRoot } from "../project-root.js";
import type { PostgresAddress } from "./address.js";
import type { Queryable, Row } from "./database.js";
import { SQLSTATE, sqlState } from "./errors.js";
import { sessionConfig } from "./session-config.js";

const MIGRATIONS_TABLE = "schema_migrations";
const CONNECT_TIMEOUT_MS = 5000;

/** The database's schema is of a later release than this process. Exit code 3. */
export class UnknownSchemaError extends Error {
  readonly exitCode = 3;
  readonly code = "unknown-schema";
  constructor(found: string, known: string) {
    super(`the database has schema ${found}, this release knows ${known}: run a release that knows ${found}`);
  }
}

/** Names of this release's migrations, oldest first. */
export function knownMigrations(): string[] {
  return readdirSync(join(projectRoot(), "migrations"))
    .filter((file) => file.endsWith(".sql"))
    .map((file) => file.slice(0, -".sql".length))
    .sort();
}

/**
 * Brings the schema forward to this release; concurrent callers wait for each other. Never drops or empties a
 * table. Returns the names of the migrations that were run; throws UnknownSchemaError on a newer schema.
 */
export async function migrate(address: PostgresAddress, schema: string): Promise<string[]> {
  await refuseUnknownSchema(address, schema);
  const done = await runner({
    databaseUrl: clientConfig(address),
    dir: join(projectRoot(), "migrations"),
    direction: "up",
    migrationsTable: MIGRATIONS_TABLE,
    schema,
    createSchema: true,
    checkOrder: false,
    advisoryLockMode: "wait",
    log: () => undefined,
  });
  return done.map((migration) => migration.name);
}

function clientConfig(address: PostgresAddress, settings: readonly string[] = []): pg.ClientConfig {
  return {
    ...sessionConfig(address, "ringfleet/migrate", settings),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  };
}

async function refuseUnknownSchema(address: PostgresAddress, schema: string): Promise<void> {
  const client = new pg.Client(clientConfig(address, [`search_path=${schema}`]));
  await client.connect();
  try {
    await missingSchema({
      query: async <R extends Row>(text: string) => {
        const { rows, rowCount } = await client.query<R>(text);
        return { rows, rowCount: rowCount ?? 0 };
      },
    });
  } finally {
    await client.end();
  }
}

/**
 * What is still missing before this release can work, or null when nothing is.
 * Throws UnknownSchemaError where the database is ahead of this release.
 */
export async function missingSchema(db: Queryable): Promise<string | null> {
  const known = knownMigrations();
  const latest = known[known.length - 1] ?? "none";
  const applied = await appliedMigrations(db);
  const unknown = applied.filter((name) => !known.includes(name));
  const newest = unknown[unknown.length - 1];
  if (newest !== undefined) throw new UnknownSchemaError(newest, latest);
  return applied.includes(latest) ? null : latest;
}

async function appliedMigrations(db: Queryable): Promise<string[]> {
  try {
    const { rows } = await db.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY name`);
    return rows.map((row) => row.name);
  } catch (error) {
    if (sqlState(error) === SQLSTATE.undefinedTable) return [];
    throw error;
  }
}

/** This database's fleet, a uuid. */
export async function fleetId(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ id: string }>("SELECT id FROM fleet");
  const row = rows[0];
  if (row === undefined) throw new Error("table fleet is empty: the schema is damaged");
  return row.id;
}

/** Takes the next incarnation number. */
export async function nextIncarnation(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ incarnation: number }>("SELECT nextval('incarnations') AS incarnation");
  const row = rows[0];
  if (row === undefined) throw new Error("sequence incarnations gave no number");
  return row.incarnation;
}
