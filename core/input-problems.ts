import type { z } from "zod";

const SHOWN_VALUE = 60;
const SHOWN_LEVELS = 3;
const SHOWN_KEY = 100;
/** Of an input that is wrong all over, nobody reads more. */
const MOST_PROBLEMS = 20;

export interface InputWords {
  /** What the input as a whole is called. */
  whole: string;
  /** By key: what it must be. */
  ranges: Readonly<Record<string, string>>;
}

/** One line for each thing that is wrong with `input`: path, value, and what it must be. */
export function inputProblems(error: z.ZodError, input: unknown, words: InputWords): string[] {
  const problems = [...new Set(error.issues.flatMap((issue) => told(issue, input, words)))];
  const more = problems.length - MOST_PROBLEMS;
  return more > 0 ? [...problems.slice(0, MOST_PROBLEMS), `and ${more} more`] : problems;
}

function told(issue: z.core.$ZodIssue, input: unknown, { whole, ranges }: InputWords): string[] {
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(ranges).join(", ");
    return issue.keys.map((key) => `${cut(key, SHOWN_KEY)}: unknown key, must be one of ${known}`);
  }
  if (issue.path.length === 0) return [`${whole}: ${shown(input)} must be an object`];
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
  return [`${issue.path.join(".")}: ${shown(value)} must be ${ranges[String(issue.path[0])] ?? "JSON"}`];
}

function shown(value: unknown): string {
  return value === undefined ? "(missing)" : cut(outline(value, SHOWN_LEVELS), SHOWN_VALUE);
}

/** Its JSON down to some levels: JSON.stringify would recurse into whatever it is given. */
function outline(value: unknown, levels: number): string {
  if (typeof value === "number") return String(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? String(value);
  const isList = Array.isArray(value);
  const fields = Object.entries(value)
    .slice(0, levels === 0 ? 0 : SHOWN_VALUE)
    .map(([key, field]) => `${isList ? "" : `${JSON.stringify(key)}:`}${outline(field, levels - 1)}`);
  const inside = levels === 0 ? "…" : fields.join(",");
  return isList ? `[${inside}]` : `{${inside}}`;
}

/** `text`, or its beginning where it has more than `length` characters. */
export function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
