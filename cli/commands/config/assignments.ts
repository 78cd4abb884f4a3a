import { z } from "zod";
import { CliError, EXIT } from "../../cli-error.js";

/** Date alone would take `--at 49` for the year 2049, and a time without zone for one of this machine's. */
const ISO_TIME = z.iso.datetime({ offset: true });

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const LONGEST_DELAY_MS = 366 * 24 * 3_600_000;

/** A copy of `config` with each `key=value` or `custom.name=value` set. What is no JSON counts as text. */
export function applyAssignments(
  config: Record<string, unknown>,
  assignments: readonly string[],
): Record<string, unknown> {
  const changed = structuredClone(config);
  for (const assignment of assignments) {
    const [, path, text] = /^([^=]+)=(.*)$/s.exec(assignment) ?? [];
    if (path === undefined || text === undefined) {
      throw new CliError("usage", `${assignment}: must be key=value`, EXIT.usage);
    }
    const keys = path.split(".");
    let at = changed;
    for (const key of keys.slice(0, -1)) {
      const next = Object.hasOwn(at, key) ? at[key] : null;
      if (next === null || typeof next !== "object") define(at, key, {});
      at = Object.getOwnPropertyDescriptor(at, key)?.value as Record<string, unknown>;
    }
    define(at, keys.at(-1) ?? path, jsonOrText(text));
  }
  return changed;
}

/** Also `__proto__` becomes a key like any other, which the control plane then refuses. */
function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What `--at` says, as the API takes it: `+5s` counts from now by the database's clock. */
export function activation(text: string): { activatesInMs: number } | { activatesAt: string } {
  const [, amount, unit] = /^\+(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const activatesInMs = Math.round(Number(amount) * (UNIT_MS[unit ?? "s"] ?? 1000));
  if (activatesInMs <= LONGEST_DELAY_MS) return { activatesInMs };
  if (ISO_TIME.safeParse(text).success) return { activatesAt: new Date(text).toISOString() };
  const range =
    "like +5s, +2m, +1h (at most 366 days), or an ISO time with its zone, like 2026-11-21T12:00:00Z";
  throw new CliError("usage", `--at ${text}: must be ${range}`, EXIT.usage);
}

/** Paths whose values differ, as JSON texts; null where one side has none. */
export function configDifferences(
  before: unknown,
  after: unknown,
  path = "",
): { path: string; before: string | null; after: string | null }[] {
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) =>
      configDifferences(before[key], after[key], path === "" ? key : `${path}.${key}`),
    );
  }
  const [a, b] = [JSON.stringify(before) ?? null, JSON.stringify(after) ?? null];
  return a === b ? [] : [{ path, before: a, after: b }];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** `path: before → after` of each. */
export function inWords(differences: ReturnType<typeof configDifferences>): string[] {
  return differences.map(({ path, before, after }) => `${path}: ${before ?? "–"} → ${after ?? "–"}`);
}
