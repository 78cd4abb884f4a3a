import express, { type Request, Router } from "express";
import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import { requireToken } from "./authorize.js";
import type { ConfigService } from "./config-service.js";

const BODY_LIMIT = "64kb";

/** The config itself is checked by its own rules, whose errors name path, value and range. */
const changeSchema = z.strictObject({
  config: z.unknown(),
  activatesAt: z.iso.datetime({ offset: true }).optional(),
  replace: z.boolean().optional(),
  reason: z.string().max(500).optional(),
  by: z.string().max(100).optional(),
});

/** GET and PUT /v1/config, its history, and DELETE of what is pending. `service` throws while this replica starts. */
export function configRouter(service: () => ConfigService, token: string | null): Router {
  const router = Router();
  const authorized = requireToken(token);

  router.get("/v1/config", async (_request, response) => {
    const answer = await service().read();
    response.setHeader("etag", `"${answer.highest}"`).json(answer);
  });

  router.get("/v1/config/history", async (_request, response) => {
    response.json({ versions: await service().history() });
  });

  router.put("/v1/config", authorized, express.json({ limit: BODY_LIMIT }), async (request, response) => {
    const { config, activatesAt, replace, reason, by } = changeOf(request.body);
    const entry = await service().change({
      config,
      wantedMs: activatesAt === undefined ? null : Date.parse(activatesAt),
      replace: replace === true,
      ifMatch: ifMatchOf(request),
      createdBy: by ?? "api",
      reason: reason ?? "",
    });
    response.setHeader("etag", `"${entry.version}"`).json(entry);
  });

  router.delete("/v1/config/:version", authorized, async (request, response) => {
    const version = Number(request.params["version"]);
    if (!Number.isSafeInteger(version) || version < 1) {
      throw badRequest(
        `the version in /v1/config/${request.params["version"]} must be a whole number from 1`,
      );
    }
    response.json(await service().cancel(version, { createdBy: "api", ifMatch: ifMatchOf(request) }));
  });
  return router;
}

function changeOf(body: unknown): z.infer<typeof changeSchema> {
  const parsed = changeSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "body"}: ${issue.message}`);
  throw badRequest(
    `${problems.join("; ")}; send application/json {"config": {…}, "activatesAt"?, "replace"?, "reason"?, "by"?}`,
  );
}

function ifMatchOf(request: Request): number | null {
  const header = request.headers["if-match"];
  if (header === undefined || header === "*") return null;
  const version = /^"?(\d{1,15})"?$/.exec(header)?.[1];
  if (version === undefined) throw badRequest(`If-Match ${header} must be the number of the highest version`);
  return Number(version);
}

function badRequest(detail: string): Problem {
  return new Problem({ status: 400, code: "bad_request", title: "Bad request", detail });
}
