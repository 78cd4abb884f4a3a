import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express, type Router } from "express";
import type { Logger } from "pino";
import { listenError } from "./listen-error.js";
import { notFound, problemHandler } from "./problem.js";

/** A whole request has to be there within this time; answers may take longer. */
const REQUEST_TIMEOUT_MS = 15_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** How often `stop` looks for connections whose request has ended. */
const IDLE_CHECK_MS = 25;

export interface HttpServer {
  /** Where it listens, with the port that was taken; a server on all addresses is told by its loopback one. */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no more connections, lets running requests end for up to `graceMs` (default 1000), and resolves when
   * every connection is closed. May be called again.
   */
  stop(graceMs?: number): Promise<void>;
}

/** An express app with problem+json errors around `routers`. */
export function createApp(routers: readonly Router[], log: Logger): Express {
  const app = express();
  app.disable("x-powered-by");
  app.use((_request, response, next) => {
    response.setHeader("x-content-type-options", "nosniff");
    response.setHeader("cache-control", "no-store");
    next();
  });
  for (const router of routers) app.use(router);
  app.use(notFound);
  app.use(problemHandler(log));
  return app;
}

/** Listens on `host`:`port` (0 = any free). Throws ListenError. */
export async function listen(app: Express, host: string, port: number): Promise<HttpServer> {
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 5000,
    },
    app,
  );
  await new Promise<void>((resolve, reject) => {
    const refused = (error: Error) => reject(listenError(error, host, port));
    server.once("error", refused);
    server.listen(port, host, () => {
      server.off("error", refused);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | null = null;
  return {
    url: `http://${reachable(host)}:${address.port}`,
    port: address.port,
    stop: (graceMs = 1000) => {
      closed ??= close(server, graceMs);
      return closed;
    },
  };
}

function reachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "[::1]";
  return host.includes(":") ? `[${host}]` : host;
}

/** A kept-alive connection becomes idle when its request has ended: it would otherwise stay for seconds. */
async function close(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const idleCheck = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
  const impatient = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idleCheck);
  clearTimeout(impatient);
}
