import { z } from "zod";
import type { ZodOpenApiContentObject, ZodOpenApiOperationObject, ZodOpenApiPathsObject } from "zod-openapi";
import { problemSchema } from "../../core/http/problem.js";
import { previewAnswerSchema, previewRequestSchema } from "../api/preview.js";
import { ringAnswerSchema } from "../api/ring-route.js";
import { leaderAnswerSchema, ownerAnswerSchema } from "../api/router.js";
import { workersAnswerSchema } from "../api/workers-route.js";
import { cancellationSchema, configChangeSchema } from "../config/change-input.js";
import {
  configAnswerSchema,
  configEntrySchema,
  historyAnswerSchema,
  historyEntrySchema,
} from "../config/config-entry.js";
import { pageSchema } from "../config/config-router.js";
import { webhookAnswerSchema } from "../webhook/webhook-router.js";

const statusSchema = z.strictObject({ status: z.string() });
const versionPath = z.object({ version: z.int().min(1) });
const ifMatch = z.object({
  "if-match": z.string().optional().describe("Refused (412) unless this is the highest version."),
});
const webhookHeaders = z.object({
  "webhook-id": z.string().min(1).max(200),
  "webhook-timestamp": z
    .string()
    .regex(/^\d{1,12}$/)
    .describe("Seconds since 1970."),
  "webhook-signature": z.string().describe("v1,<base64 of HMAC-SHA256 over id.timestamp.body>"),
});
const BEARER = [{ bearer: [] }];

const PROBLEMS: Record<number, string> = {
  400: "Not understood",
  401: "The bearer token or the signature is missing or wrong",
  404: "There is no such thing",
  409: "Something else stands in the way, which the answer names",
  412: "Changed meanwhile",
  413: "The body is too large",
  415: "The body is encoded in a way that isn't taken",
  422: "Understood, and refused",
  502: "The config source failed",
  503: "Not now: Postgres is away, or this replica is starting",
};

/** Every route of the control plane. test/integration/openapi.test.ts compares it with the running router. */
export const PATHS: ZodOpenApiPathsObject = {
  "/livez": { get: answering("Whether this process should be restarted", "Health", statusSchema, [503]) },
  "/readyz": { get: answering("Whether this replica can serve", "Health", statusSchema, [503]) },
  "/metrics": {
    get: text("Prometheus metrics", "Health", "text/plain", "docs/reference/metrics.md explains them.", []),
  },
  "/v1/workers": { get: answering("Everybody this replica sees", "Fleet", workersAnswerSchema, [503]) },
  "/v1/leader": { get: answering("Who leads the control plane", "Fleet", leaderAnswerSchema, [503]) },
  "/v1/ring": {
    get: answering("The ring view in force, and the newest ones", "Ring", ringAnswerSchema, [503]),
  },
  "/v1/ring/preview": {
    post: {
      ...answering(
        "What a change of membership would move; nothing changes",
        "Ring",
        previewAnswerSchema,
        [400, 413, 415, 422, 503],
      ),
      requestBody: json(previewRequestSchema),
    },
  },
  "/v1/items/{id}/owner": {
    get: {
      ...answering("A row, and whose it is", "Ring", ownerAnswerSchema, [404, 503]),
      requestParams: { path: z.object({ id: z.string() }) },
    },
  },
  "/v1/config": {
    get: answering("The config in force, and what is to come", "Config", configAnswerSchema, [503]),
    put: {
      ...answering(
        "Change the config for all workers, at one tick",
        "Config",
        configEntrySchema,
        [400, 401, 409, 412, 413, 415, 422, 503],
      ),
      security: BEARER,
      requestParams: { header: ifMatch },
      requestBody: json(configChangeSchema),
    },
  },
  "/v1/config/history": {
    get: {
      ...answering(
        "Versions: who, when, why, and the first tick each ruled",
        "Config",
        historyAnswerSchema,
        [400, 503],
      ),
      requestParams: { query: pageSchema },
    },
  },
  "/v1/config/{version}": {
    get: {
      ...answering("One version", "Config", historyEntrySchema, [400, 404, 503]),
      requestParams: { path: versionPath },
    },
    delete: {
      ...answering(
        "Take back a pending version: a new one repeats the content that rules before it",
        "Config",
        configEntrySchema,
        [400, 401, 404, 409, 412, 503],
      ),
      security: BEARER,
      requestParams: { path: versionPath, query: cancellationSchema, header: ifMatch },
    },
  },
  "/v1/webhooks/config": {
    post: {
      ...answering(
        "Change the config by a signed message (Standard Webhooks)",
        "Config",
        webhookAnswerSchema,
        [400, 401, 409, 412, 413, 415, 422, 502, 503],
      ),
      description:
        "A body with a key of a config is the config; any other only says that it changed. docs/guide/webhook.md.",
      requestParams: { header: webhookHeaders },
      requestBody: { content: { "application/json": { schema: {} } } },
    },
  },
  "/v1/stream": {
    get: {
      ...text(
        "Config and ring changes as server-sent events",
        "Fleet",
        "text/event-stream",
        "Begins with the ring and config in force and what is pending. `event: ring` carries a RingSummary, " +
          "`event: config` a ConfigEntry; send the last id as Last-Event-ID to go on behind it. " +
          "503 stream_full where the replica has too many.",
        [503],
      ),
      requestParams: { header: z.object({ "last-event-id": z.string().optional() }) },
    },
  },
  "/v1/openapi.json": {
    get: answering("This document", "Health", z.looseObject({ openapi: z.string() }), []),
  },
};

function answering(
  summary: string,
  tag: string,
  schema: z.ZodType,
  problems: readonly number[],
): ZodOpenApiOperationObject {
  const content = { "application/json": { schema } };
  return { summary, tags: [tag], responses: responses(content, problems) };
}

function text(
  summary: string,
  tag: string,
  type: string,
  description: string,
  problems: readonly number[],
): ZodOpenApiOperationObject {
  const content = { [type]: { schema: { type: "string" as const } } };
  return { summary, description, tags: [tag], responses: responses(content, problems) };
}

function responses(
  content: ZodOpenApiContentObject,
  problems: readonly number[],
): ZodOpenApiOperationObject["responses"] {
  const answers: ZodOpenApiOperationObject["responses"] = { "200": { description: "Done", content } };
  for (const status of problems) {
    const problem = { "application/problem+json": { schema: problemSchema } };
    answers[`${status}` as "400"] = { description: PROBLEMS[status] ?? "Refused", content: problem };
  }
  return answers;
}

function json(schema: z.ZodType): NonNullable<ZodOpenApiOperationObject["requestBody"]> {
  return { required: true, content: { "application/json": { schema } } };
}
