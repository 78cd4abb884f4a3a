import { reasonOf, SQLSTATE, sqlState } from "../core/postgres/errors.js";
import { reasonWithAdvice, tlsAdvice } from "../core/tls/tls-advice.js";
import { CliError, EXIT } from "./cli-error.js";

/** Runs `body` on a database; what Postgres, or its silence, says is told in words. Throws CliError. */
export async function onDatabase<T>(url: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    throw explained(url, error);
  }
}

function explained(url: string, error: unknown): unknown {
  const { host } = new URL(url);
  const state = sqlState(error);
  if (state === SQLSTATE.undefinedTable) {
    const message = `the database at ${host} has no ringfleet tables in this schema: run \`ringfleet migrate\``;
    return new CliError("no_schema", message, EXIT.failed, { cause: error });
  }
  if (state !== null) {
    return new CliError(
      "postgres_error",
      `Postgres at ${host}: ${reasonWithAdvice("Postgres", error)}`,
      EXIT.failed,
      {
        cause: error,
      },
    );
  }
  const advice = tlsAdvice("Postgres", error);
  if (advice !== null) {
    const message = `Postgres at ${host} can't be reached by TLS: ${reasonWithAdvice("Postgres", error)}`;
    return new CliError("tls_failed", message, EXIT.failed, { cause: error });
  }
  if (!isConnectionError(error)) return error;
  return new CliError(
    "unreachable",
    `Postgres at ${host} doesn't answer: ${reasonOf(error)}`,
    EXIT.unreachable,
    {
      cause: error,
    },
  );
}

function isConnectionError(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && /^E[A-Z_]+$/.test(code)) return !code.startsWith("ERR_");
  return /^(timeout expired|Connection terminated|.*timeout exceeded when trying to connect)/.test(
    reasonOf(error),
  );
}
