import { Router } from "express";
import type { Registry } from "prom-client";
import { Problem } from "./problem.js";

export interface Health {
  /** Why this process should be restarted, or null. Never depends on Postgres or Redis. */
  live: () => string | null;
  /** What this process still waits for; empty when ready. */
  ready: () => string[];
  registry: Registry;
}

/** GET /livez, /readyz and /metrics. */
export function healthRouter({ live, ready, registry }: Health): Router {
  const router = Router();
  router.get("/livez", (_request, response) => {
    const reason = live();
    if (reason !== null) throw unavailable("not_live", reason);
    response.json({ status: "live" });
  });
  router.get("/readyz", (_request, response) => {
    const missing = ready();
    if (missing.length > 0)
      throw unavailable("not_ready", `waiting for ${missing.join(", ")}`, { waitingFor: missing });
    response.json({ status: "ready" });
  });
  router.get("/metrics", async (_request, response) => {
    response.type(registry.contentType).send(await registry.metrics());
  });
  return router;
}

function unavailable(code: string, detail: string, extra: Record<string, unknown> = {}): Problem {
  return new Problem({ status: 503, code, title: "Unavailable", detail, extra });
}
