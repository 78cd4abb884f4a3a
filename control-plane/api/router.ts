import express, { Router } from "express";
import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import type { Database } from "../../core/postgres/database.js";
import type { Lease } from "../leadership/lease-store.js";
import { readLease } from "../leadership/lease-store.js";
import type { Observer } from "../membership/observer.js";
import type { SlotRowsCache } from "../planner/slot-rows-cache.js";
import type { NewestVersions } from "../publish/newest-versions.js";
import { readItem } from "./item-store.js";
import { notReady } from "./not-ready.js";
import { previewRequestSchema, previewRing } from "./preview.js";
import { ringAnswer } from "./ring-route.js";
import { workAnswer, workersAnswer } from "./workers-route.js";

export const leaderAnswerSchema = z
  .strictObject({
    holder: z.string().nullable(),
    term: z.int(),
    expiresAt: z.iso.datetime().nullable(),
    self: z.string().describe("The replica that answers."),
    leading: z.boolean().describe("Whether that is the leader, and trusts its lease."),
  })
  .meta({ id: "LeaderAnswer" });

export const ownerAnswerSchema = z
  .strictObject({
    id: z.string(),
    slot: z.int().min(0),
    exists: z.literal(true),
    ring: z.int().nullable(),
    seat: z.int().nullable(),
    worker: z.string().nullable(),
    incarnation: z.int().nullable(),
    value: z.int(),
    lasttick: z.iso.datetime().nullable(),
    currentworker: z.string().nullable(),
  })
  .meta({ id: "OwnerAnswer" });

export interface ApiOptions {
  replica: string;
  db: Database;
  observer: Observer;
  newest: NewestVersions;
  slotRows: SlotRowsCache;
  lease: () => Lease | null;
  leading: () => boolean;
  monotonicNow: () => number;
}

/** The control plane's JSON API. Every replica serves every read. `api` is null until the schema is there. */
export function apiRouter(api: () => ApiOptions | null): Router {
  const router = Router();
  const ready = (): ApiOptions => {
    const options = api();
    if (options !== null) return options;
    return notReady();
  };

  router.get("/v1/workers", (_request, response) => {
    const { observer, newest, slotRows, lease, monotonicNow } = ready();
    const ring = newest.ring?.snapshot ?? null;
    const tickMs = newest.config?.tickMs ?? 1000;
    response.json({
      ...workersAnswer(observer, ring, lease(), tickMs, monotonicNow()),
      ...workAnswer(newest.config, slotRows.newest, slotRows.ageMs),
    });
  });

  router.get("/v1/ring", async (_request, response) => {
    response.json(await ringAnswer(ready().db));
  });

  router.get("/v1/leader", async (_request, response) => {
    const { db, replica, leading } = ready();
    const { holder, term, remainingMs } = await readLease(db);
    const held = holder !== null && remainingMs > 0;
    response.json({
      holder: held ? holder : null,
      term,
      expiresAt: held ? new Date(Date.now() + remainingMs).toISOString() : null,
      self: replica,
      leading: leading(),
    });
  });

  router.get("/v1/items/:id/owner", async (request, response) => {
    const { db, newest } = ready();
    const item = await readItem(db, request.params.id);
    if (item === null) {
      throw new Problem({
        status: 404,
        code: "item_not_found",
        title: "No such work item",
        detail: `work_items has no row with id ${request.params.id}`,
      });
    }
    const ring = newest.ring?.snapshot ?? null;
    const owner = ring?.ownerOf(item.slot) ?? null;
    response.json({
      id: item.id,
      slot: item.slot,
      exists: true,
      ring: ring?.version ?? null,
      seat: owner?.seat ?? null,
      worker: owner?.worker ?? null,
      incarnation: owner?.incarnation ?? null,
      value: item.value,
      lasttick: item.lasttick,
      currentworker: item.currentworker,
    });
  });

  router.post("/v1/ring/preview", express.json({ limit: "64kb" }), async (request, response) => {
    const { newest, slotRows } = ready();
    const parsed = previewRequestSchema.safeParse(request.body);
    if (!parsed.success) {
      throw new Problem({
        status: 422,
        code: "invalid_preview",
        title: "Invalid preview",
        detail: 'send {"workers": 0 to 1000}, or {"join": [names], "leave": [names]}',
      });
    }
    const counted = await slotRows.get();
    response.json(previewRing(newest.ring?.snapshot ?? null, parsed.data, counted.rows));
  });
  return router;
}
