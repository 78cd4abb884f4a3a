import { readFileSync } from "node:fs";
import { type ProcessKind, SETTINGS, type Setting } from "./setting.js";
import { SettingsError } from "./settings-error.js";

export type Environment = Readonly<Record<string, string | undefined>>;
export type ReadFile = (path: string) => string;

const readText: ReadFile = (path) => readFileSync(path, "utf8");

/**
 * Values of a process's settings by name; undefined where neither set nor defaulted. An empty variable counts as
 * not set; NAME_FILE names a file that holds the value. Throws SettingsError, naming every variable that is wrong.
 */
export function readEnvironment(
  kind: ProcessKind,
  env: Environment,
  readFile: ReadFile = readText,
): Map<string, unknown> {
  const values = new Map<string, unknown>();
  const problems: string[] = [];
  for (const setting of SETTINGS) {
    if (!setting.processes.includes(kind)) continue;
    try {
      values.set(setting.name, valueOf(setting, env, readFile));
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length > 0) throw new SettingsError(problems.join("; "));
  return values;
}

function valueOf(setting: Setting, env: Environment, readFile: ReadFile): unknown {
  const text = textOf(setting, env, readFile) ?? setting.default;
  if (text === null) {
    if (setting.required !== true) return undefined;
    throw new SettingsError(`${setting.name} is not set: it takes ${setting.range}`);
  }
  const parsed = setting.schema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new SettingsError(`${setting.name}=${shown(setting, text)}: must be ${setting.range}`);
}

function textOf(setting: Setting, env: Environment, readFile: ReadFile): string | null {
  const text = env[setting.name] || null;
  const path = env[`${setting.name}_FILE`] || null;
  if (path === null) return text;
  if (text !== null) {
    throw new SettingsError(`${setting.name} and ${setting.name}_FILE are both set: set one of them`);
  }
  try {
    return readFile(path).replace(/\r?\n$/, "");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SettingsError(`${setting.name}_FILE=${path}: can't be read (${code ?? "unknown error"})`);
  }
}

/** The value as an error may show it: secrets never. */
function shown(setting: Setting, text: string): string {
  return setting.secret === true ? "(secret)" : JSON.stringify(text).slice(1, -1).slice(0, 80);
}
