import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { PortTakenError } from "./store-errors.js";

// Below the ranges from which Linux (32768 up) and macOS (49152 up) take the local ports of outgoing
// connections: a client that keeps reconnecting to a stopped server can then never be given the
// server's own port, which would make the server's restart on that port fail.
const LOWEST_PORT = 15_000;
const HIGHEST_PORT = 31_999;
const TRIES = 50;
const SERVER_STARTS = 5;

/**
 * A TCP port of 127.0.0.1 that nobody listens on at this moment. Somebody else may take it before its
 * user does, so who starts a server on it must be ready to ask again.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = await listenBriefly(randomInt(LOWEST_PORT, HIGHEST_PORT + 1));
    if (port !== null) return port;
  }
  const port = await listenBriefly(0);
  if (port === null) throw new Error("no free TCP port on 127.0.0.1");
  return port;
}

/**
 * Starts a server on the port wanted, or for 0 on a free one: once more each time that somebody was faster
 * to take it (`start` then throws PortTakenError).
 */
export async function startOnPort<Server>(
  wanted: number,
  start: (port: number) => Promise<Server>,
): Promise<{ port: number; server: Server }> {
  for (let attempt = 1; ; attempt++) {
    const port = wanted === 0 ? await findFreePort() : wanted;
    try {
      return { port, server: await start(port) };
    } catch (error) {
      if (!(error instanceof PortTakenError) || wanted !== 0 || attempt === SERVER_STARTS) throw error;
    }
  }
}

/** Starts anew for up to `patienceMs` while it fails for what its predecessor holds for a moment longer. */
export async function startAfterPredecessor<Server>(
  patienceMs: number,
  mayPass: (error: unknown) => boolean,
  start: () => Promise<Server>,
): Promise<Server> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!mayPass(error) || performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

/** The port bound (`port`, or any for 0), or null where it is taken. */
function listenBriefly(port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(null);
      else reject(error);
    });
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : null;
      server.close(() => resolve(bound));
    });
  });
}
