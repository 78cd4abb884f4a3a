import express, { type Request, Router } from "express";
import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import { configSchema } from "../../core/versions/config.js";
import { requireToken } from "./authorize.js";
import type { ConfigService, WantedTime } from "./config-service.js";

const BODY_LIMIT = "64kb";
const PAGE = 100;
const MAX_PAGE = 500;
const LONGEST_DELAY_MS = 366 * 86_400_000;

/** The config itself is checked by its own rules, whose errors name path, value and range. */
const changeSchema = z.strictObject({
  config: z.unknown(),
  activatesAt: z.iso.datetime({ offset: true }).optional(),
  activatesInMs: z.int().min(0).max(LONGEST_DELAY_MS).optional(),
  replace: z.boolean().optional(),
  reason: z.string().max(500).optional(),
  by: z.string().max(100).optional(),
});

/** The same for the API's document. */
export const configChangeSchema = changeSchema
  .extend({
    config: configSchema,
    activatesAt: z.iso
      .datetime({ offset: true })
      .optional()
      .describe("When it is to rule; without it, as soon as every worker can know."),
    activatesInMs: changeSchema.shape.activatesInMs.describe(
      "Instead of activatesAt: milliseconds from now by the database's clock.",
    ),
    replace: z.boolean().optional().describe("Also ahead of pending versions, which then never rule."),
  })
  .meta({ id: "ConfigChange" });

export const pageSchema = z.strictObject({
  before: z.coerce.number().int().min(1).optional().describe("Only versions below this one."),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).optional().describe(`At most so many (${PAGE}).`),
});

export const cancellationSchema = z.strictObject({
  by: changeSchema.shape.by.describe("Who, for the history."),
  reason: changeSchema.shape.reason.describe("Why, for the history."),
});

/** GET and PUT /v1/config, its history, and DELETE of what is pending. `service` throws while this replica starts. */
export function configRouter(service: () => ConfigService, token: string | null): Router {
  const router = Router();
  const authorized = requireToken(token);

  router.get("/v1/config", async (_request, response) => {
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

  router.put("/v1/config", authorized, express.json({ limit: BODY_LIMIT }), async (request, response) => {
    const change = changeOf(request.body);
    const entry = await service().change({
      config: change.config,
      wanted: wantedOf(change),
      replace: change.replace === true,
      ifMatch: ifMatchOf(request),
      createdBy: change.by ?? "api",
      reason: change.reason ?? "",
    });
    response.setHeader("etag", `"${entry.version}"`).json(entry);
  });

  router.delete("/v1/config/:version", authorized, async (request: Request, response) => {
    const version = versionOf(String(request.params["version"]));
    const said = cancellationSchema.safeParse(request.query);
    if (!said.success)
      throw badRequest("a cancellation takes ?by=<up to 100> and ?reason=<up to 500 characters>");
    const entry = await service().cancel(version, {
      createdBy: said.data.by ?? "api",
      reason: said.data.reason ?? null,
      ifMatch: ifMatchOf(request),
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

function changeOf(body: unknown): z.infer<typeof changeSchema> {
  const parsed = changeSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "body"}: ${issue.message}`);
  throw badRequest(
    `${problems.join("; ")}; send application/json ` +
      '{"config": {…}, "activatesAt" or "activatesInMs"?, "replace"?, "reason"?, "by"?}',
  );
}

function wantedOf({ activatesAt, activatesInMs }: z.infer<typeof changeSchema>): WantedTime {
  if (activatesAt !== undefined && activatesInMs !== undefined) {
    throw badRequest("activatesAt and activatesInMs exclude each other");
  }
  if (activatesAt !== undefined) return { atMs: Date.parse(activatesAt) };
  return activatesInMs === undefined ? null : { inMs: activatesInMs };
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
