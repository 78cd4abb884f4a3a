import { userInfo } from "node:os";
import { placeConfig, repeatsContent, rulingAt } from "../../../core/versions/config-schedule.js";
import { CliError, EXIT } from "../../cli-error.js";
import type { Output } from "../../output.js";
import type { CommonOptions } from "../common.js";
import { activation, configDifferences, inWords } from "./assignments.js";
import { ask, type ConfigAnswer, type Entry } from "./config-api.js";

/** A change without `--at` whose moment has passed before it was there is made anew this often, … */
const ATTEMPTS = 5;
/** … for a moment that is later by so much each time: the way to the control plane may be longer than a tick. */
const LATER_MS = 500;

export interface ChangeOptions extends CommonOptions {
  at?: string;
  replace?: boolean;
  reason?: string;
}

interface Placed {
  /** By the database's clock; null: as soon as every worker can know. */
  wantedMs: number | null;
  /** The config that rules just before. */
  before: Record<string, unknown>;
}

/** Publishes what `make` makes of the config that will rule just before it. Throws CliError. */
export async function changeConfig(
  options: ChangeOptions,
  output: Output,
  make: (before: Record<string, unknown>) => Record<string, unknown>,
): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask<ConfigAnswer>(options, "/v1/config");
    const { wantedMs, before } = placed(answer, options, (attempt - 1) * LATER_MS);
    const after = make(before);
    try {
      const entry = await put(options, { config: after, wantedMs }, answer.highest);
      const differences = inWords(configDifferences(before, after)).join(", ") || "no difference";
      const from = `from the first tick at or after ${entry.activatesAt}`;
      output.print(entry, `config ${entry.version} rules ${from} (${differences})`);
      return EXIT.ok;
    } catch (error) {
      const hasPassed = error instanceof CliError && error.code === "activation_too_soon";
      if (!hasPassed || options.at !== undefined || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Where the control plane will place it: what it is made of must be what rules by then, and not what rules now. */
function placed(answer: ConfigAnswer, { at, replace }: ChangeOptions, laterMs: number): Placed {
  const entries = [...(answer.current === null ? [] : [answer.current]), ...answer.upcoming];
  const versions = entries.map(({ version, activatesAt, digest, config }) => {
    return {
      version,
      digest,
      activatesAtMs: Date.parse(activatesAt),
      tickMs: Number(config["tickMs"]),
      config,
    };
  });
  const nowMs = Date.parse(answer.now);
  const wantedMs = at === undefined ? null : wanted(at, nowMs);
  const mayReplace = (each: (typeof versions)[number]) => replace === true || repeatsContent(versions, each);
  const placement = placeConfig({ versions, nowMs: nowMs + laterMs, wantedMs, mayReplace });
  // What can't be placed is refused by the control plane, in its words.
  if (placement.kind !== "at") return { wantedMs, before: answer.current?.config ?? {} };
  const { activatesAtMs } = placement;
  return { wantedMs: wantedMs ?? activatesAtMs, before: rulingAt(versions, activatesAtMs - 1)?.config ?? {} };
}

/** Epoch ms by the database's clock. */
function wanted(at: string, nowMs: number): number {
  const time = activation(at);
  return "activatesAt" in time ? Date.parse(time.activatesAt) : nowMs + time.activatesInMs;
}

async function put(
  { replace, reason, ...options }: ChangeOptions,
  { config, wantedMs }: { config: unknown; wantedMs: number | null },
  highest: number,
): Promise<Entry> {
  return await ask<Entry>(options, "/v1/config", {
    method: "PUT",
    ifMatch: highest,
    body: {
      config,
      ...(wantedMs === null ? {} : { activatesAt: new Date(wantedMs).toISOString() }),
      ...(replace === true ? { replace: true } : {}),
      ...(reason === undefined ? {} : { reason }),
      by: who(),
    },
  });
}

/** Who changes it, for the history. */
export function who(): string {
  return `${process.env["USER"] ?? process.env["LOGNAME"] ?? accountName()} (cli)`.slice(0, 100);
}

/** In a container the user may have no name at all. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.()}`;
  }
}
