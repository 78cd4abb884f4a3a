import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { Database, type Row } from "../../core/postgres/database.js";
import { migrate } from "../../core/postgres/schema.js";
import { configSchema, DEFAULT_CONFIG } from "../../core/versions/config.js";
import { configDigest } from "../../core/versions/digest.js";
import { insertInitialConfig } from "../../core/versions/version-store.js";
import { CliError, EXIT } from "../cli-error.js";
import { onDatabase } from "../database-errors.js";
import { addressOf, schemaName } from "../environment.js";
import { databaseUrl, type LocationOptions } from "../fleet-location.js";
import { table } from "../output.js";
import { examples, jsonCommand, runCommand, wholeNumber } from "./common.js";

/** And the cursor to its upper left corner. */
const CLEAR_SCREEN = "\x1b[2J\x1b[H";

interface DatabaseOptions extends LocationOptions {
  json?: boolean;
}

function databaseCommand(name: string, summary: string): Command {
  return jsonCommand(name, summary).option(
    "--dir <folder>",
    "state folder of the running `up`, where DATABASE_URL isn't set (default: .ringfleet here or above)",
  );
}

/** `ringfleet migrate` */
export function migrateCommand(): Command {
  return databaseCommand(
    "migrate",
    "bring the database's schema to this release; never drops or empties a table",
  )
    .addHelpText(
      "after",
      `
Several at once wait for each other. A schema of a later release is left alone: exit code 3.
${examples(
  ["DATABASE_URL=postgres://… ringfleet migrate", "as the Helm chart's job does"],
  ["ringfleet migrate", "the database of the `up` that runs here"],
)}`,
    )
    .action((options: DatabaseOptions) =>
      runCommand(options, async (output) => {
        const url = await databaseUrl(options);
        const applied = await onDatabase(url, () => migrate(addressOf(url), schemaName(process.env)));
        output.print(
          { applied },
          applied.length === 0 ? "the schema is up to date" : `applied ${applied.join(", ")}`,
        );
        return EXIT.ok;
      }),
    );
}

/** `ringfleet config default` */
export function configDefaultCommand(): Command {
  return databaseCommand("default", "insert the initial config where there is none; never overwrites one")
    .option("--file <path>", "JSON of the initial config; what it leaves out keeps its default")
    .addHelpText(
      "after",
      `
The default: ${JSON.stringify(DEFAULT_CONFIG)}
${examples(
  ["ringfleet config default", "where there is none yet"],
  ["ringfleet config default --file slow.json", 'slow.json holds, say, {"tickMs": 5000}'],
)}`,
    )
    .action((options: DatabaseOptions & { file?: string }) =>
      runCommand(options, async (output) => {
        const config = initialConfig(options.file);
        const body = { digest: configDigest(config), body: config };
        const by = { createdBy: "ringfleet config default", reason: "initial config" };
        const inserted = await withDatabase(options, (db) => insertInitialConfig(db, { ...body, ...by }));
        output.print(
          { inserted, config },
          inserted ? "the initial config is version 1" : "there is a config already: it stays",
        );
        return EXIT.ok;
      }),
    );
}

function initialConfig(path: string | undefined) {
  if (path === undefined) return DEFAULT_CONFIG;
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CliError(
      "bad_config",
      `${path}: ${error instanceof Error ? error.message : String(error)}`,
      EXIT.usage,
    );
  }
  if (content === null || typeof content !== "object" || Array.isArray(content)) {
    throw new CliError("bad_config", `${path}: must hold one JSON object`, EXIT.usage);
  }
  const parsed = configSchema.safeParse({ ...DEFAULT_CONFIG, ...content });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `${issue.path.join(".") || "config"}: ${issue.message}`,
  );
  throw new CliError("bad_config", `${path}: ${problems.join("; ")}`, EXIT.usage);
}

/** `ringfleet rows [--watch]` */
export function rowsCommand(): Command {
  return databaseCommand("rows", "show work_items by worker, straight from Postgres")
    .option("--watch", "again every second, until Ctrl-C")
    .option("--limit <n>", "rows to show", wholeNumber(1, 100_000), 50)
    .addHelpText(
      "after",
      examples(
        ["ringfleet rows --watch", "see the values grow"],
        ["ringfleet rows --limit 1000 --json", "for a script"],
      ),
    )
    .action((options: DatabaseOptions & { watch?: boolean; limit: number }) =>
      runCommand(options, async (output) => {
        await withDatabase(options, async (db) => {
          do {
            const found = await readRows(db, options.limit);
            const isScreen = options.watch === true && !output.json && process.stdout.isTTY;
            output.print(found, `${isScreen ? CLEAR_SCREEN : ""}${rowsText(found)}`);
            if (options.watch === true) await sleep(1000);
          } while (options.watch === true);
        });
        return EXIT.ok;
      }),
    );
}

/** Runs `body` on the fleet's database; what Postgres says is told in words. */
async function withDatabase<T>(options: LocationOptions, body: (db: Database) => Promise<T>): Promise<T> {
  const url = await databaseUrl(options);
  const db = new Database({
    ...addressOf(url),
    schema: schemaName(process.env),
    applicationName: "ringfleet/cli",
    poolSize: 1,
    statementTimeoutMs: 10_000,
  });
  try {
    return await onDatabase(url, () => body(db));
  } finally {
    await db.close();
  }
}

interface ShownRow extends Row {
  id: string;
  value: number;
  lasttick: string | null;
  currentworker: string | null;
}

async function readRows(db: Database, limit: number): Promise<{ total: number; rows: ShownRow[] }> {
  const { rows } = await db.query<ShownRow>(
    `SELECT id::text AS id, value, currentworker,
       CASE WHEN lasttick > '-infinity' THEN to_char(lasttick AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END AS lasttick
     FROM work_items ORDER BY currentworker, id LIMIT $1`,
    [limit],
  );
  const { rows: counted } = await db.query<{ total: number }>(
    "SELECT count(*)::int AS total FROM work_items",
  );
  return { total: counted[0]?.total ?? 0, rows };
}

function rowsText({ total, rows }: { total: number; rows: ShownRow[] }): string {
  const shown = table(
    ["id", "value", "lasttick", "currentworker"],
    rows.map((row) => [row.id, row.value, row.lasttick, row.currentworker]),
  );
  return total > rows.length ? `${shown}\n(${rows.length} of ${total} rows; --limit shows more)` : shown;
}
