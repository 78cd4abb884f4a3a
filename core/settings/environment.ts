import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { ProcessKind, Setting } from "./setting.js";
import type { SettingProblem } from "./settings-error.js";

export type Environment = Readonly<Record<string, string | undefined>>;
/** The text of a file; throws where it can't be read. */
export type ReadFile = (path: string) => string;

export const readTextFile: ReadFile = (path) => readFileSync(path, "utf8");

export type Reading = { ok: true; value: unknown } | { ok: false; problem: SettingProblem };

interface Source {
  /** Variable to name in an error. */
  variable: string;
  text: string;
  /** Set where the text comes from a file. */
  path?: string;
}

/** The value of one setting. An empty variable counts as not set; NAME_FILE names a file that holds the value. */
export function readSetting(
  setting: Setting,
  kind: ProcessKind,
  env: Environment,
  readFile: ReadFile,
): Reading {
  const source = sourceOf(setting, env, readFile);
  if (source !== null && "problem" in source) return { ok: false, problem: source.problem };
  const found = source ?? defaultOf(setting, kind, env);
  if (found === null) {
    if (setting.optional === true) return { ok: true, value: null };
    return failure(setting.name, null, `must be ${setting.range}`);
  }
  const parsed = setting.schema.safeParse(found.text);
  if (parsed.success) return { ok: true, value: parsed.data };
  const from = found.path === undefined ? "" : ` (from ${found.path})`;
  return failure(found.variable, shown(setting, found.text) + from, `must be ${setting.range}`);
}

function sourceOf(
  setting: Setting,
  env: Environment,
  readFile: ReadFile,
): Source | { problem: SettingProblem } | null {
  const fileVariable = `${setting.name}_FILE`;
  const text = env[setting.name] ?? "";
  const path = setting.isPath === true ? "" : (env[fileVariable] ?? "");
  if (path === "") return text === "" ? null : { variable: setting.name, text };
  if (text !== "") {
    return failure(setting.name, shown(setting, text), `must not be set together with ${fileVariable}`);
  }
  try {
    const content = readFile(path).replace(/(\r?\n)+$/, "");
    // An empty secret would otherwise pass for none, and switch off what it protects.
    if (content === "") return failure(fileVariable, visible(path), "must name a file that isn't empty");
    return { variable: setting.name, text: content, path: visible(path) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return failure(fileVariable, visible(path), `must name a readable file (${code ?? String(error)})`);
  }
}

function defaultOf(setting: Setting, kind: ProcessKind, env: Environment): Source | null {
  if (setting.namesProcess === true) return processName(setting, env);
  if (setting.default === undefined) return null;
  const text = typeof setting.default === "string" ? setting.default : setting.default[kind];
  return { variable: setting.name, text };
}

/** A pod is called by its name; elsewhere host name and pid tell processes apart. */
function processName(setting: Setting, env: Environment): Source {
  const pod = env["POD_NAME"] ?? "";
  if (pod !== "") return { variable: "POD_NAME", text: pod };
  const host = hostname().replace(/[^A-Za-z0-9._-]/g, "-");
  return { variable: setting.name, text: `${host.slice(0, 50)}-${process.pid}` };
}

function failure(
  name: string,
  value: string | null,
  allowed: string,
): { ok: false; problem: SettingProblem } {
  return { ok: false, problem: { name, value, allowed } };
}

/** The value as an error may show it: of a secret nothing, or the URL without password and parameters. */
function shown(setting: Setting, text: string): string {
  if (setting.secret !== true) return visible(text);
  if (setting.unit !== "URL" || !URL.canParse(text)) return "(not shown)";
  const { protocol, username, password, host, pathname } = new URL(text);
  // Without //, or with an unescaped / in the password, the parser takes parts of it for something else.
  if (host === "" || pathname.includes("@")) return "(not shown)";
  const user = username === "" && password === "" ? "" : `${username}${password === "" ? "" : ":***"}@`;
  return visible(`${protocol}//${user}${host}${pathname}`);
}

/** One line of at most 80 characters, quoted where white space or control characters would mislead. */
function visible(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 79)}…` : text;
  return /^[^\s\p{C}]+$/u.test(short) ? short : JSON.stringify(short);
}
