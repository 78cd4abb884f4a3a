import { cut, inputProblems } from "../input-problems.js";
import { type Config, configSchema } from "./config.js";

/** An announcement carries the whole config up to 64 kB; escapes and the rest of it need room as well. */
export const MAX_CONFIG_BYTES = 32 * 1024;
const MAX_DEPTH = 16;
const SHOWN_PATH = 200;
/** A surrogate alone is half a character: UTF-8 has none. */
const UNSTORABLE = /[\0\p{Surrogate}]/u;

/** A config that can't be taken, with one line for each thing that is wrong: path, value, range. */
export class InvalidConfigError extends Error {
  readonly code = "invalid_config";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("; "));
    this.problems = problems;
  }
}

const WORDS = {
  whole: "config",
  ranges: {
    tickMs: "a whole number from 100 to 3600000",
    increment: "a whole number from -1000000 to 1000000",
    paused: "true or false",
    maxRowsPerSecond: "a whole number from 0 to 10000000",
    custom: "an object of JSON values",
  },
};

/** The config in parsed JSON. Throws InvalidConfigError. */
export function parseConfig(input: unknown): Config {
  const shape = shapeProblem(input, WORDS.whole, 0);
  if (shape !== null) throw new InvalidConfigError([shape]);
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) throw new InvalidConfigError(inputProblems(parsed.error, input, WORDS));
  const bytes = Buffer.byteLength(JSON.stringify(parsed.data));
  if (bytes > MAX_CONFIG_BYTES) {
    throw new InvalidConfigError([`config: has ${bytes} bytes, must have at most ${MAX_CONFIG_BYTES}`]);
  }
  return parsed.data;
}

/** Depth first, and before zod, which would recurse into whatever it is given and drop `__proto__` silently. */
function shapeProblem(value: unknown, path: string, depth: number): string | null {
  const problem = valueProblem(value, depth);
  if (problem !== null) return `${cut(path, SHOWN_PATH)}: ${problem}`;
  if (value === null || typeof value !== "object") return null;
  for (const [key, field] of Object.entries(value)) {
    const at = depth === 0 ? key : `${path}.${key}`;
    const wrong = keyProblem(key);
    if (wrong !== null) return `${cut(at, SHOWN_PATH)}: ${wrong}`;
    const below = shapeProblem(field, at, depth + 1);
    if (below !== null) return below;
  }
  return null;
}

function keyProblem(key: string): string | null {
  return key === "__proto__" ? "this key is not allowed" : textProblem(key);
}

/** Also of what zod takes: JSON has no Infinity, but 1e999 is parsed to it. */
function valueProblem(value: unknown, depth: number): string | null {
  if (typeof value === "string") return textProblem(value);
  if (typeof value === "number" && depth > 1 && !Number.isFinite(value)) {
    return `${value} must be a number up to ±${Number.MAX_VALUE}`;
  }
  const isTooDeep = value !== null && typeof value === "object" && depth >= MAX_DEPTH;
  return isTooDeep ? `is nested deeper than ${MAX_DEPTH} levels` : null;
}

function textProblem(text: string): string | null {
  return UNSTORABLE.test(text)
    ? "holds a NUL or half a character (\\u0000, \\ud800), which Postgres can't store"
    : null;
}
