import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import { inputProblems } from "../../core/input-problems.js";
import { configSchema } from "../../core/versions/config.js";
import type { WantedTime } from "./config-service.js";

const LONGEST_DELAY_MS = 366 * 86_400_000;
const LONGEST_REASON = 500;
const LONGEST_NAME = 100;

/** What a history can show in lines, and Postgres can store. */
const plainText = (length: number) =>
  z
    .string()
    .max(length)
    .regex(/^(?:\P{Cc}|[\t\n\r])*$/u);

/** Without the years that the answers' times couldn't tell. */
const time = z.iso.datetime({ offset: true }).refine((text) => Date.parse(text) < Date.UTC(9999, 0));

const by = plainText(LONGEST_NAME).optional();
const reason = plainText(LONGEST_REASON).optional();

/** The config itself is checked by its own rules, whose errors name path, value and range. */
const changeSchema = z.strictObject({
  config: z.unknown(),
  activatesAt: time.optional(),
  activatesInMs: z.int().min(0).max(LONGEST_DELAY_MS).optional(),
  replace: z.boolean().optional(),
  reason,
  by,
});

export type Change = z.infer<typeof changeSchema>;

const WORDS = {
  whole: "body",
  ranges: {
    config: "the whole config",
    activatesAt: "an ISO time with its zone, before the year 9999, like 2026-11-21T12:00:00Z",
    activatesInMs: `a whole number from 0 to ${LONGEST_DELAY_MS}`,
    replace: "true or false",
    reason: `a text of at most ${LONGEST_REASON} characters, without control characters`,
    by: `a text of at most ${LONGEST_NAME} characters, without control characters`,
  },
};

/** The same for the API's document. */
export const configChangeSchema = changeSchema
  .extend({
    config: configSchema,
    activatesAt: time
      .optional()
      .describe("When it is to rule; without it, as soon as every worker can know."),
    activatesInMs: changeSchema.shape.activatesInMs.describe(
      "Instead of activatesAt: milliseconds from now by the database's clock.",
    ),
    replace: z.boolean().optional().describe("Also ahead of pending versions, which then never rule."),
  })
  .meta({ id: "ConfigChange" });

export const cancellationSchema = z.strictObject({
  by: by.describe("Who, for the history."),
  reason: reason.describe("Why, for the history."),
});

/** The body of PUT /v1/config; undefined where nothing came that says it is JSON. Throws Problem 400. */
export function parseChange(body: unknown): Change {
  if (body === undefined) {
    throw badRequest('send application/json: {"config": {…}, "activatesAt": "2026-11-21T12:00:00Z"}');
  }
  const parsed = changeSchema.safeParse(body);
  if (!parsed.success) {
    const problems = inputProblems(parsed.error, body, WORDS);
    throw badRequest(problems.join("; "), { problems });
  }
  return parsed.data;
}

/** The query of DELETE /v1/config/:version. Throws Problem 400. */
export function parseCancellation(query: unknown): z.infer<typeof cancellationSchema> {
  const parsed = cancellationSchema.safeParse(query);
  if (parsed.success) return parsed.data;
  const { by, reason } = WORDS.ranges;
  const problems = inputProblems(parsed.error, query, { whole: "query", ranges: { by, reason } });
  throw badRequest(problems.join("; "), { problems });
}

/** Throws Problem 400. */
export function wantedTime({ activatesAt, activatesInMs }: Change): WantedTime {
  if (activatesAt !== undefined && activatesInMs !== undefined) {
    throw badRequest("activatesAt and activatesInMs exclude each other: send one of them");
  }
  if (activatesAt !== undefined) return { atMs: Date.parse(activatesAt) };
  return activatesInMs === undefined ? null : { inMs: activatesInMs };
}

/** What If-Match names, null where it doesn't matter. Throws Problem 400. */
export function parseIfMatch(header: string | undefined): number | null {
  if (header === undefined || header === "*") return null;
  const version = /^"?(\d{1,15})"?$/.exec(header)?.[1];
  if (version !== undefined) return Number(version);
  throw badRequest(`If-Match: ${header} must be the highest version, like "7": the ETag of GET /v1/config`);
}

export function badRequest(detail: string, extra: Record<string, unknown> = {}): Problem {
  return new Problem({ status: 400, code: "bad_request", title: "Bad request", detail, extra });
}
