import { askControlPlane } from "../../api-client.js";
import { CliError } from "../../cli-error.js";
import { readEnvironment } from "../../environment.js";
import { controlPlaneUrls, tokenOfUp } from "../../fleet-location.js";
import type { CommonOptions } from "../common.js";

export interface Entry {
  version: number;
  /** Equal contents have the same. */
  digest: string;
  activatesAt: string;
  createdAt: string;
  createdBy: string;
  reason: string;
  config: Record<string, unknown>;
}

export interface ConfigAnswer {
  /** The database's clock. */
  now: string;
  highest: number;
  current: Entry | null;
  upcoming: Entry[];
}

export interface HistoryAnswer {
  versions: (Entry & { firstTick: string | null })[];
  /** Where the next page begins; null where there is none. */
  before: number | null;
}

export async function entryOf(options: CommonOptions, version: number): Promise<Entry> {
  return await ask<Entry>(options, `/v1/config/${version}`);
}

/** The token: API_TOKEN, else that of the running `up` for its own control planes. */
export async function ask<T>(
  options: CommonOptions,
  path: string,
  request: { method?: string; body?: unknown; ifMatch?: number } = {},
): Promise<T> {
  const urls = await controlPlaneUrls(options);
  const token = readEnvironment("apiToken", process.env) ?? (await tokenOfUp(options, urls));
  try {
    return await askControlPlane<T>(urls, path, { ...request, ...(token === null ? {} : { token }) });
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== "token_required") throw error;
    const given = token === null ? "asks for a token" : "refuses this token";
    throw new CliError(error.code, `the control plane ${given}: set API_TOKEN to the one that it has`);
  }
}
