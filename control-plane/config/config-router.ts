import express, { type Request, Router } from "express";
import { z } from "zod";
import { requireToken } from "./authorize.js";
import { badRequest, parseCancellation, parseChange, parseIfMatch, wantedTime } from "./change-input.js";
import type { ConfigService } from "./config-service.js";

const BODY_LIMIT = "64kb";
const PAGE = 100;
const MAX_PAGE = 500;

export const pageSchema = z.strictObject({
  before: z.coerce.number().int().min(1).optional().describe("Only versions below this one."),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).optional().describe(`At most so many (${PAGE}).`),
});

/** GET and PUT /v1/config, its history, and DELETE of what is pending. `service` throws while this replica starts. */
export function configRouter(service: () => ConfigService, token: string | null): Router {
  const router = Router();
  const authorized = requireToken(token);
  // Not strict: what is JSON but no object is told in the same words as everything else.
  const json = express.json({ limit: BODY_LIMIT, strict: false });

  router.get("/v1/config", async (request, response) => {
    // The ETag is there for If-Match: what rules changes with time alone, and 304 would hide it.
    delete request.headers["if-none-match"];
    const answer = await service().read();
    response.setHeader("etag", `"${answer.highest}"`).json(answer);
  });

  router.get("/v1/config/history", async (request, response) => {
    const page = pageSchema.safeParse(request.query);
    if (!page.success) throw badRequest(`history takes ?before=<version> and ?limit=<1 to ${MAX_PAGE}>`);
    response.json(await service().history(page.data.before ?? null, page.data.limit ?? PAGE));
  });

  router.get("/v1/config/:version", async (request, response) => {
    response.json(await service().version(versionOf(request.params.version)));
  });

  router.put("/v1/config", authorized, json, async (request, response) => {
    const change = parseChange(request.body);
    const entry = await service().change({
      config: change.config,
      wanted: wantedTime(change),
      replace: change.replace === true,
      ifMatch: parseIfMatch(request.headers["if-match"]),
      createdBy: change.by ?? "api",
      reason: change.reason ?? "",
    });
    response.setHeader("etag", `"${entry.version}"`).json(entry);
  });

  router.delete("/v1/config/:version", authorized, async (request: Request, response) => {
    const version = versionOf(String(request.params["version"]));
    const { by, reason } = parseCancellation(request.query);
    const entry = await service().cancel(version, {
      createdBy: by ?? "api",
      reason: reason ?? null,
      ifMatch: parseIfMatch(request.headers["if-match"]),
    });
    response.setHeader("etag", `"${entry.version}"`).json(entry);
  });
  return router;
}

function versionOf(text: string): number {
  const version = Number(text);
  if (/^\d{1,15}$/.test(text) && version >= 1) return version;
  throw badRequest(`the version in /v1/config/${text} must be a whole number from 1`);
}
