import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type Express, type Router } from "express";
import type { Logger } from "pino";
import { notFound, problemHandler } from "./problem.js";

/** Another process listens there. Exit code 2. */
export class PortTakenError extends Error {
  readonly exitCode = 2;
  constructor(host: string, port: number) {
    super(
      `PORT=${port}: something else listens on ${host}:${port}; set PORT to another, or to 0 for any free one`,
    );
  }
}

export interface HttpServer {
  /** Where it listens, with the port that was taken. */
  readonly url: string;
  readonly port: number;
  /** Lets running requests end, closes idle connections at once. Tolerates being called twice. */
  stop(): Promise<void>;
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

/** Listens on `host`:`port` (0 = any free). Throws PortTakenError. */
export async function listen(app: Express, host: string, port: number): Promise<HttpServer> {
  const server = createServer({ requestTimeout: 15_000, headersTimeout: 10_000 }, app);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? new PortTakenError(host, port) : error);
    });
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}`,
    port: address.port,
    stop: () => close(server),
  };
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const impatient = setTimeout(() => server.closeAllConnections(), 1000);
  await closed;
  clearTimeout(impatient);
}
