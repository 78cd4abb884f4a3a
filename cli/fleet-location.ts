import { resolve } from "node:path";
import { isLoopback } from "../core/settings/loopback.js";
import { CliError, EXIT } from "./cli-error.js";
import { databaseUrlOf, readEnvironment } from "./environment.js";
import { findStateFolder, readUpState, STATE_FOLDER, type UpState } from "./fleet/state-file.js";
import { findRunningProcess } from "./stores/running-process.js";

export interface LocationOptions {
  /** Folder of the running `up`'s state. */
  dir?: string;
  /** Control plane to ask. */
  url?: string;
}

/** The `up` that runs here, or null. A state that a killed `up` left behind doesn't count. */
export async function findRunningUp(options: LocationOptions): Promise<UpState | null> {
  const folder = options.dir === undefined ? findStateFolder(process.cwd()) : resolve(options.dir);
  const state = folder === null ? null : readUpState(folder);
  if (state === null) return null;
  const running = await findRunningProcess(state.pid);
  return running?.startMark === state.startMark ? state : null;
}

/** Control planes to ask, the first that answers serves. */
export async function controlPlaneUrls(options: LocationOptions): Promise<string[]> {
  const named =
    options.url === undefined ? readEnvironment("controlPlaneUrl", process.env) : checked(options.url);
  if (named !== null) return [named];
  const up = await findRunningUp(options);
  if (up !== null) return up.controlPlaneUrls;
  throw new CliError(
    "fleet_not_found",
    `no fleet found: no \`ringfleet up\` runs here (no ${STATE_FOLDER}/up.json at or above this folder); ` +
      "start one, or name a control plane by --url or CONTROL_PLANE_URL",
    EXIT.unreachable,
  );
}

/** The token of the `up` that runs here, where all of `urls` are its own control planes: it is nobody else's. */
export async function tokenOfUp(options: LocationOptions, urls: readonly string[]): Promise<string | null> {
  const up = await findRunningUp(options);
  const ports = new Set(up?.controlPlaneUrls.map((url) => new URL(url).port));
  const isOwn = (url: string) => {
    const { protocol, hostname, port } = new URL(url);
    return protocol === "http:" && isLoopback(hostname) && ports.has(port);
  };
  return up !== null && urls.every(isOwn) ? up.token : null;
}

function checked(url: string): string {
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new CliError("usage", `--url ${url}: must be a URL that starts with http:// or https://`, EXIT.usage);
}

/** The fleet's database, TLS included: DATABASE_URL, else that of the running `up`. */
export async function databaseUrl(options: LocationOptions): Promise<string> {
  const named = databaseUrlOf(process.env);
  if (named !== null) return named;
  const up = await findRunningUp(options);
  if (up !== null) return up.databaseUrl;
  throw new CliError(
    "database_not_found",
    "no database found: set DATABASE_URL, or start `ringfleet up` in this folder",
    EXIT.usage,
  );
}
