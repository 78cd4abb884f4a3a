import type pg from "pg";
import type { PostgresAddress } from "./address.js";

/** What pg reads in a URL and believes over what it is told beside it. */
const SESSION_PARAMETERS = [
  "options",
  "application_name",
  "statement_timeout",
  "lock_timeout",
  "idle_in_transaction_session_timeout",
  "query_timeout",
];

/**
 * A session that starts with `settings` (`name=value`, of Postgres), whatever the URL says of them; other
 * `options` of the URL count, as in libpq.
 */
export function sessionConfig(
  { url, ssl }: PostgresAddress,
  applicationName: string,
  settings: readonly string[],
): pg.ClientConfig {
  const given = new URL(url).searchParams.get("options");
  const options = [...(given === null ? [] : [given]), ...settings.map((setting) => `-c ${setting}`)];
  return {
    connectionString: withoutParameters(url, SESSION_PARAMETERS),
    ...(ssl === undefined ? {} : { ssl }),
    application_name: applicationName,
    ...(options.length === 0 ? {} : { options: options.join(" ") }),
  };
}

/** Untouched where there is nothing to take out: not every spelling survives being parsed. */
export function withoutParameters(text: string, parameters: readonly string[]): string {
  const url = new URL(text);
  const found = parameters.filter((name) => url.searchParams.has(name));
  if (found.length === 0) return text;
  for (const name of found) url.searchParams.delete(name);
  return url.href;
}
