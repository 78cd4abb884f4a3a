import { reasonOf } from "../core/postgres/errors.js";
import { CliError, EXIT } from "./cli-error.js";

const TIMEOUT_MS = 5000;
/** Codes of failures for which another replica may do better: silence, a replica that is only starting. */
const ELSEWHERE: ReadonlySet<string> = new Set(["unreachable", "not_ready"]);

interface Request {
  method?: string;
  body?: unknown;
  token?: string;
  /** The version that the change was made on. */
  ifMatch?: number;
  timeoutMs?: number;
}

/** Asks one server for JSON. Throws CliError: what the problem says, or that nobody answers. */
export async function request<T>(url: string, options: Request = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, {
      method: options.method ?? (options.body === undefined ? "GET" : "POST"),
      signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
      headers: {
        accept: "application/json",
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...(options.ifMatch === undefined ? {} : { "if-match": `"${options.ifMatch}"` }),
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    const { cause } = error as { cause?: { code?: string; message?: string } };
    const why = cause?.code ?? cause?.message ?? reasonOf(error);
    throw new CliError("unreachable", `${url} doesn't answer: ${why}`, EXIT.unreachable, { cause: error });
  }
  const answer = (await response.json().catch(() => null)) as (T & { code?: string; detail?: string }) | null;
  if (response.ok && answer !== null) return answer;
  const status = `${response.status} ${response.statusText}`.trim();
  throw new CliError(
    answer?.code ?? `http_${response.status}`,
    answer?.detail ??
      `${url} answered ${status}${answer === null ? " without JSON: is that a ringfleet server?" : ""}`,
  );
}

/** Asks the control planes in turn; the first that can answer serves. */
export async function askControlPlane<T>(
  urls: readonly string[],
  path: string,
  options: Request = {},
): Promise<T> {
  let last: unknown = new CliError("unreachable", "no control plane is known", EXIT.unreachable);
  for (const url of urls) {
    try {
      return await request<T>(new URL(path, url).href, options);
    } catch (error) {
      if (!(error instanceof CliError) || !ELSEWHERE.has(error.code)) throw error;
      last = error;
    }
  }
  throw last;
}
