import { Router } from "express";
import { Problem } from "../../core/http/problem.js";
import { sliceIds } from "../work/work-store.js";
import type { Worker } from "../worker.js";

const MAX_IDS = 100_000;

/** GET /slice: what this worker watches, with all its ids (up to 100,000). */
export function sliceRouter(worker: () => Worker | null): Router {
  const router = Router();
  router.get("/slice", async (_request, response) => {
    const current = worker();
    const progress = current?.progress ?? null;
    if (current === null || progress === null) {
      throw new Problem({
        status: 503,
        code: "no_slice",
        title: "No slice yet",
        detail: "this worker has seen no sealed tick yet",
      });
    }
    const { slice, config, tickMs, rows } = progress;
    const ids = slice.slots.length === 0 ? [] : await sliceIds(current.database, slice.slots, MAX_IDS);
    response.json({
      ...current.identity,
      ring: slice.ring.version,
      config: config.version,
      tick: new Date(tickMs).toISOString(),
      slots: slice.slots.length,
      rows,
      ids,
      truncated: ids.length === MAX_IDS,
    });
  });
  return router;
}
