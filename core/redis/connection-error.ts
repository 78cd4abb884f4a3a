import type { Redis } from "ioredis";
import { HandshakeError } from "../tls/tls-advice.js";
import type { RedisAddress } from "./address.js";

const ALL_UNREACHABLE = "All sentinels are unreachable";

/** No sentinel named a master that could be connected to. */
export class SentinelError extends Error {
  readonly code = "sentinel";

  constructor(cause: Error) {
    super(`no sentinel tells the master: ${cause.message}`, { cause });
    this.name = "SentinelError";
  }
}

/** Hands every error of a connection to `onError`, with the reason that ioredis leaves out where it can be told. */
export function tellErrors(redis: Redis, address: RedisAddress, onError: (error: Error) => void): void {
  let ofSentinel: Error | null = null;
  redis.on("sentinelError", (error: Error) => {
    ofSentinel = error;
  });
  redis.on("error", (error: Error) => {
    if (!error.message.startsWith(ALL_UNREACHABLE)) {
      onError(address.tls === null ? error : handshakeError(redis.status, error));
      return;
    }
    // Also said when all have been asked once since the start, and none of them failed.
    if (ofSentinel !== null) onError(new SentinelError(ofSentinel));
    ofSentinel = null;
  });
}

function handshakeError(status: Redis["status"], error: Error): Error {
  const { code } = error as NodeJS.ErrnoException;
  // A server that wants a client certificate says so only after the handshake, and its words may be lost.
  if (status === "connect" && (code === "ECONNRESET" || code === "EPIPE")) {
    return new HandshakeError("refused", error);
  }
  // A Redis without TLS waits for the end of what it takes for a command.
  return status === "connecting" && code === "ETIMEDOUT" ? new HandshakeError("unanswered", error) : error;
}
