import { type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP } from "node:net";
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from "request-filtering-agent";
import { Problem } from "../../core/http/problem.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { isLoopback } from "../../core/settings/loopback.js";
import { MAX_CONFIG_BYTES } from "../../core/versions/config-input.js";

const TIMEOUT_MS = 5000;
/** Room for the white space of a config that people read. */
const MAX_BYTES = 2 * MAX_CONFIG_BYTES;

export interface ConfigSourceOptions {
  /** https, or http to loopback. */
  url: string;
  /** Sent as bearer token; null sends none. */
  token: string | null;
  /** Whether a host name may lead to a private address. */
  allowPrivate: boolean;
  timeoutMs?: number;
}

/**
 * The one place that the operator has named to fetch the config from. The address is checked where the
 * connection is made, so that a name which leads elsewhere the second time (DNS rebinding) gets nowhere.
 */
export class ConfigSource {
  readonly #options: ConfigSourceOptions;
  readonly #agent;
  #known: { etag: string; content: unknown } | null = null;

  constructor(options: ConfigSourceOptions) {
    this.#options = options;
    const { protocol, hostname } = new URL(options.url);
    const filter = {
      allowPrivateIPAddress: options.allowPrivate,
      // A URL that says loopback means it; a name that merely leads there doesn't.
      allowIPAddressList: isLoopback(hostname)
        ? ["127.0.0.1", "::1", ...(isIP(hostname) === 0 ? [] : [hostname])]
        : [],
      keepAlive: false,
    };
    this.#agent =
      protocol === "https:" ? new RequestFilteringHttpsAgent(filter) : new RequestFilteringHttpAgent(filter);
  }

  /** The parsed JSON that lies there now. Throws Problem 502. */
  async fetch(): Promise<unknown> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs ?? TIMEOUT_MS);
    // A 304 speaks of what was known when it was asked for: another message may have fetched anew meanwhile.
    const known = this.#known;
    try {
      const response = await this.#ask(signal, known?.etag ?? null);
      if (response.statusCode === 304 && known !== null) {
        response.resume();
        return known.content;
      }
      refuseStatus(response);
      const content = parsed(await readBody(response));
      const { etag } = response.headers;
      this.#known = etag === undefined ? null : { etag, content };
      return content;
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (/ is not allowed\. Because/.test(reasonOf(error))) {
        throw failed("address_refused", "leads to a private address (CONFIG_SOURCE_ALLOW_PRIVATE)", error);
      }
      if (signal.aborted) throw failed("timeout", "did not answer within the time limit", error);
      throw failed("unreachable", `can't be read: ${reasonOf(error)}`, error);
    }
  }

  async #ask(signal: AbortSignal, etag: string | null): Promise<IncomingMessage> {
    const { url, token } = this.#options;
    const request = url.startsWith("https:") ? requestHttps : requestHttp;
    return await new Promise<IncomingMessage>((resolve, reject) => {
      request(
        url,
        {
          agent: this.#agent,
          signal,
          headers: {
            accept: "application/json",
            "accept-encoding": "identity",
            "user-agent": "ringfleet",
            ...(token === null ? {} : { authorization: `Bearer ${token}` }),
            ...(etag === null ? {} : { "if-none-match": etag }),
          },
        },
        resolve,
      )
        .on("error", reject)
        .end();
    });
  }
}

function refuseStatus(response: IncomingMessage): void {
  const status = response.statusCode ?? 0;
  if (status === 200) return;
  response.destroy();
  // A 304 that nobody asked for leads nowhere.
  if (status >= 300 && status < 400 && status !== 304) {
    throw failed(
      "redirected",
      `answered ${status}: redirects are not followed, set the URL that they lead to`,
    );
  }
  throw failed("status", `answered ${status}, not 200`);
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      response.destroy();
      throw failed("too_large", `sends more than ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw failed("not_json", `does not give JSON: ${reasonOf(error)}`, error);
  }
}

/** The URL itself stays in the settings: it may carry a secret. */
function failed(what: string, detail: string, cause?: unknown): Problem {
  return new Problem({
    status: 502,
    code: `config_source_${what}`,
    title: "Config source failed",
    detail: `CONFIG_SOURCE_URL ${detail}`,
    cause,
  });
}
