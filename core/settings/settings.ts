import { type Environment, type ReadFile, readSetting, readTextFile } from "./environment.js";
import { isLoopback } from "./loopback.js";
import { type ProcessKind, SETTINGS, type Setting, type SettingsOf } from "./setting.js";
import { type SettingProblem, SettingsError } from "./settings-error.js";

export type ControlPlaneSettings = SettingsOf<"control-plane">;
export type WorkerSettings = SettingsOf<"worker">;

/** Settings of a control-plane replica, frozen. Throws SettingsError. */
export function parseControlPlaneSettings(env: Environment, readFile?: ReadFile): ControlPlaneSettings {
  return parseSettings("control-plane", env, readFile, (settings) => {
    return checkDeadAfter(settings) ?? checkAnonymousWrites(settings) ?? checkPreviousSecret(settings);
  });
}

/** Settings of a worker, frozen. Throws SettingsError. */
export function parseWorkerSettings(env: Environment, readFile?: ReadFile): WorkerSettings {
  return parseSettings("worker", env, readFile, () => null);
}

/** `check` compares settings with each other; it misses those that are wrong by themselves. */
function parseSettings<Kind extends ProcessKind>(
  kind: Kind,
  env: Environment,
  readFile: ReadFile = readTextFile,
  check: (settings: Partial<SettingsOf<Kind>>) => SettingProblem | null,
): SettingsOf<Kind> {
  const values: Record<string, unknown> = {};
  const problems: SettingProblem[] = [];
  const table: Record<string, Setting> = SETTINGS;
  for (const [key, setting] of Object.entries(table)) {
    if (!setting.processes.includes(kind)) continue;
    const reading = readSetting(setting, kind, env, readFile);
    if (reading.ok) values[key] = reading.value;
    else problems.push(reading.problem);
  }
  const settings: unknown = Object.freeze(values);
  const mismatch = check(settings as Partial<SettingsOf<Kind>>);
  if (mismatch !== null) problems.push(mismatch);
  const [first, ...others] = problems;
  if (first !== undefined) throw new SettingsError([first, ...others]);
  return settings as SettingsOf<Kind>;
}

/** One lost beat, or one slow one, must not look like a death. */
function checkDeadAfter(settings: Partial<ControlPlaneSettings>): SettingProblem | null {
  const { heartbeatMs, deadAfterMs } = settings;
  if (heartbeatMs === undefined || deadAfterMs === undefined) return null;
  const leastMs = 3 * heartbeatMs;
  if (deadAfterMs >= leastMs) return null;
  return {
    name: "DEAD_AFTER_MS",
    value: String(deadAfterMs),
    allowed: `must be at least 3 × HEARTBEAT_MS (${leastMs})`,
  };
}

/** Set alone it would look like a webhook that is switched on. */
function checkPreviousSecret(settings: Partial<ControlPlaneSettings>): SettingProblem | null {
  const { webhookSecret, webhookSecretPrevious } = settings;
  if (webhookSecret !== null || typeof webhookSecretPrevious !== "string") return null;
  return {
    name: "WEBHOOK_SECRET",
    value: null,
    allowed: "must be set where WEBHOOK_SECRET_PREVIOUS is",
  };
}

/** Who reaches the API without a token may change the fleet: beyond this machine somebody has to want that. */
function checkAnonymousWrites(settings: Partial<ControlPlaneSettings>): SettingProblem | null {
  const { host, apiToken, allowAnonymousWrites } = settings;
  if (host === undefined || apiToken !== null || allowAnonymousWrites !== "false") return null;
  if (isLoopback(host)) return null;
  return {
    name: "API_TOKEN",
    value: null,
    allowed: `must be set where HOST (${host}) is more than loopback, or ALLOW_ANONYMOUS_WRITES be true`,
  };
}
