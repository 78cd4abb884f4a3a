import { expect, test } from "vitest";
import { readEnvironment, schemaName, withSettings } from "../../../cli/environment.js";

test("a setting that isn't set is null; an empty variable counts as not set", () => {
  expect(readEnvironment("databaseUrl", {})).toBeNull();
  expect(readEnvironment("databaseUrl", { DATABASE_URL: "" })).toBeNull();
  expect(schemaName({})).toBe("public");
  expect(schemaName({ PG_SCHEMA: "fleet_b" })).toBe("fleet_b");
});

test("a wrong one is an error that names it, without its secret", () => {
  const env = { DATABASE_URL: "mysql://root:hidden@db/x" };
  expect(() => readEnvironment("databaseUrl", env)).toThrow(
    /^DATABASE_URL=mysql:\/\/root:\*\*\*@db\/x: must be/,
  );
});

test("settings in force leave no NAME_FILE that contradicts them, and the given environment alone", () => {
  const env = { PATH: "/bin", PORT: "1", PORT_FILE: "/port", REDIS_URL_FILE: "/redis", API_TOKEN_FILE: "/t" };
  const changed = withSettings(env, { PORT: "0", REDIS_URL: "redis://r" });
  expect(changed).toEqual({ PATH: "/bin", PORT: "0", REDIS_URL: "redis://r", API_TOKEN_FILE: "/t" });
  expect(env.PORT_FILE).toBe("/port");
});
