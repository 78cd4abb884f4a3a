import pg from "pg";
import { pino } from "pino";
import { expect, it } from "vitest";
import type { Queryable } from "../../../../core/postgres/database.js";
import { enterFleet } from "../../../../core/postgres/enter-fleet.js";
import { knownMigrations, UnknownSchemaError } from "../../../../core/postgres/schema.js";

const MIGRATED = knownMigrations().map((name) => ({ name }));

/** A Postgres that answers the reads of `migrations` and takes `troubles`, in turn, at what comes after them. */
function postgresWith(
  migrations: { name: string }[],
  troubles: Record<"fleet" | "incarnations", Error[]>,
): Queryable {
  const answer = (rows: object[], trouble?: Error) => {
    if (trouble !== undefined) throw trouble;
    return { rows: rows as never[], rowCount: rows.length };
  };
  return {
    async query(text: string) {
      if (/FROM schema_migrations/.test(text)) return answer(migrations);
      if (/FROM fleet/.test(text)) return answer([{ id: "fleet-1" }], troubles.fleet.shift());
      return answer([{ incarnation: 7 }], troubles.incarnations.shift());
    },
  };
}

async function enter(db: Queryable) {
  const said: string[] = [];
  const log = pino({}, { write: (line) => void said.push((JSON.parse(line) as { msg: string }).msg) });
  const obstacles: (string | null)[] = [];
  const entry = await enterFleet(db, log, new AbortController().signal, (what) => obstacles.push(what));
  return { entry, said, obstacles };
}

it("an outage, a standby or a missing right between the schema and the number is waited out, and told once", async () => {
  const standby = new pg.DatabaseError("cannot execute nextval() in a read-only transaction", 0, "error");
  standby.code = "25006";
  const broken = new Error("Connection terminated unexpectedly");
  const { entry, said, obstacles } = await enter(
    postgresWith(MIGRATED, { fleet: [broken], incarnations: [standby, standby] }),
  );
  expect(entry).toEqual({ fleet: "fleet-1", incarnation: 7 });
  expect(said).toEqual([
    "waiting for Postgres: Connection terminated unexpectedly",
    "waiting for Postgres: cannot execute nextval() in a read-only transaction",
  ]);
  expect(obstacles.at(-1)).toBeNull();
  expect(obstacles).toHaveLength(4);
});

it("a schema of a later release ends it", async () => {
  const db = postgresWith([...MIGRATED, { name: "9999_later" }], { fleet: [], incarnations: [] });
  await expect(enter(db)).rejects.toThrow(UnknownSchemaError);
});
