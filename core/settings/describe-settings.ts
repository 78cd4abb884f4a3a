import { type ProcessKind, SETTINGS, type Setting } from "./setting.js";

/** A setting in words, for --help, .env.example and docs. */
export interface SettingDescription {
  name: string;
  description: string;
  unit: string;
  /** Null where the setting is required. */
  default: string | null;
  range: string;
  secret: boolean;
  processes: readonly ProcessKind[];
}

/** The settings of one process, or of both, in the order of .env.example. */
export function describeSettings(kind?: ProcessKind): SettingDescription[] {
  const settings: Setting[] = Object.values(SETTINGS);
  return settings
    .filter((setting) => kind === undefined || setting.processes.includes(kind))
    .map((setting) => ({
      name: setting.name,
      description: setting.description,
      unit: setting.unit,
      default: defaultInWords(setting, kind),
      range: setting.range,
      secret: setting.secret === true,
      processes: setting.processes,
    }));
}

function defaultInWords(setting: Setting, kind?: ProcessKind): string | null {
  if (setting.namesProcess === true) return "POD_NAME, else host name and pid";
  if (setting.optional === true) return setting.otherwise ?? "none";
  if (setting.default === undefined) return null;
  if (typeof setting.default === "string") return setting.default === "" ? "empty" : setting.default;
  if (kind !== undefined) return setting.default[kind];
  return `${setting.default["control-plane"]} (control plane), ${setting.default.worker} (worker)`;
}
