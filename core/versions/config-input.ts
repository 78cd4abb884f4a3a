import { type Config, configSchema } from "./config.js";

/** An announcement carries the whole config up to 64 kB; escapes and the rest of it need room as well. */
export const MAX_CONFIG_BYTES = 32 * 1024;
const MAX_DEPTH = 16;
const SHOWN_VALUE = 60;

/** A config that can't be taken, with one line for each thing that is wrong: path, value, range. */
export class InvalidConfigError extends Error {
  readonly code = "invalid_config";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

const RANGES: Record<string, string> = {
  tickMs: "a whole number from 100 to 3600000",
  increment: "a whole number from -1000000 to 1000000",
  paused: "true or false",
  maxRowsPerSecond: "a whole number from 0 to 10000000",
  custom: "an object of JSON values",
};

/** The config in parsed JSON. Throws InvalidConfigError. */
export function parseConfig(input: unknown): Config {
  const shape = shapeProblem(input, "config", 0);
  if (shape !== null) throw new InvalidConfigError([shape]);
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) throw new InvalidConfigError(parsed.error.issues.flatMap((i) => told(i, input)));
  const bytes = Buffer.byteLength(JSON.stringify(parsed.data));
  if (bytes > MAX_CONFIG_BYTES) {
    throw new InvalidConfigError([`config: has ${bytes} bytes, must have at most ${MAX_CONFIG_BYTES}`]);
  }
  return parsed.data;
}

/** Depth first, and before zod, which would recurse into whatever it is given and drop `__proto__` silently. */
function shapeProblem(value: unknown, path: string, depth: number): string | null {
  if (value === null || typeof value !== "object") return null;
  if (depth >= MAX_DEPTH) return `${path.slice(0, 200)}: is nested deeper than ${MAX_DEPTH} levels`;
  for (const [key, field] of Object.entries(value)) {
    const at = depth === 0 ? key : `${path}.${key}`;
    if (key === "__proto__") return `${at}: this key is not allowed`;
    const problem = shapeProblem(field, at, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function told(issue: { code: string; path: PropertyKey[]; keys?: string[] }, input: unknown): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(RANGES).join(", ");
    return (issue.keys ?? []).map((key) => `${key}: unknown key, must be one of ${known}`);
  }
  if (issue.path.length === 0) return [`config: ${shown(input)} must be an object`];
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
  return [`${issue.path.join(".")}: ${shown(value)} must be ${RANGES[String(issue.path[0])] ?? "JSON"}`];
}

function shown(value: unknown): string {
  if (value === undefined) return "(missing)";
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_VALUE ? `${text.slice(0, SHOWN_VALUE - 1)}…` : text;
}
