import { Problem } from "../../core/http/problem.js";

/** For requests that come before this replica has found its schema. */
export function notReady(): never {
  throw new Problem({
    status: 503,
    code: "not_ready",
    title: "Unavailable",
    detail: "this replica still waits for Postgres or its schema: see /readyz",
  });
}
