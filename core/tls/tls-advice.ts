import { reasonOf } from "../postgres/errors.js";

/** What to look at, by the settings of one store. */
interface Names {
  url: string;
  ca: string;
  cert: string;
  key: string;
  /** How to go on where the server has no TLS. */
  withoutTls: string;
  /** How to begin where the server takes nothing but TLS. */
  withTls: string;
  wrongName: string;
}

const POSTGRES: Names = {
  url: "DATABASE_URL",
  ca: "PG_SSL_CA_FILE",
  cert: "PG_SSL_CERT_FILE",
  key: "PG_SSL_KEY_FILE",
  withoutTls: "switch it on there (ssl = on), or set PG_SSL_MODE=disable",
  withTls: "set PG_SSL_MODE=verify-full and PG_SSL_CA_FILE",
  wrongName:
    "use a host name of the certificate in DATABASE_URL, or set PG_SSL_MODE=verify-ca to take any name of that CA",
};

const REDIS: Names = {
  url: "REDIS_URL",
  ca: "REDIS_TLS_CA_FILE",
  cert: "REDIS_TLS_CERT_FILE",
  key: "REDIS_TLS_KEY_FILE",
  withoutTls: "use its TLS port, or redis:// instead of rediss:// in REDIS_URL",
  withTls: "use rediss:// in REDIS_URL, and set REDIS_TLS_CA_FILE",
  wrongName: "use a host name of the certificate in REDIS_URL (with Sentinel, see REDIS_SENTINELS)",
};

const UNTRUSTED: ReadonlySet<string> = new Set([
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
]);
const UNTIMELY: ReadonlySet<string> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/** A connection over TLS that ended without a word of why, after the handshake or during it. */
export class HandshakeError extends Error {
  readonly code = "tls-handshake";
  readonly kind: "refused" | "unanswered";

  constructor(kind: "refused" | "unanswered", cause: Error) {
    super(`${cause.message} ${kind === "refused" ? "right after" : "in"} the TLS handshake`, { cause });
    this.name = "HandshakeError";
    this.kind = kind;
  }
}

/** Which setting to change where a connection to `store` failed for its TLS; null for any other reason. */
export function tlsAdvice(store: string, error: unknown): string | null {
  if (store !== "Postgres" && store !== "Redis") return null;
  const names = store === "Postgres" ? POSTGRES : REDIS;
  const code = String((error as { code?: unknown } | null)?.code ?? "");
  const reason = reasonOf(error);
  if (UNTRUSTED.has(code)) return `${names.ca} must hold the CA of the server's certificate`;
  if (UNTIMELY.has(code)) return "renew the server's certificate, or set the clock of this machine";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return names.wrongName;
  if (/server does not support SSL|wrong version number|packet length too long/i.test(reason)) {
    return `the server at ${names.url} doesn't speak TLS there: ${names.withoutTls}`;
  }
  if (
    /certificate required|requires a valid client certificate|certificate authentication failed/i.test(reason)
  ) {
    return `the server wants a client certificate: set ${names.cert} and ${names.key}`;
  }
  if (
    /alert (unknown ca|bad certificate|certificate expired|certificate revoked|unsupported)/i.test(reason)
  ) {
    return `the server refuses the client certificate: renew ${names.cert} and ${names.key}`;
  }
  if (error instanceof HandshakeError) {
    return error.kind === "refused"
      ? `the server may want another client certificate: look at ${names.cert} and ${names.key}`
      : `if the server at ${names.url} is up, it doesn't speak TLS there: ${names.withoutTls}`;
  }
  if (/no encryption|SSL off/i.test(reason)) return `the server takes TLS only: ${names.withTls}`;
  if (reason.startsWith("no sentinel tells the master")) return sentinelAdvice(reason);
  return null;
}

function sentinelAdvice(reason: string): string {
  if (/WRONGPASS|NOAUTH|NOPERM|AUTH /.test(reason)) return "look at REDIS_SENTINEL_PASSWORD";
  if (/No such master|invalid reply/.test(reason))
    return "REDIS_SENTINEL_MASTER must be the name of a master that they watch";
  return "look at REDIS_SENTINELS, and with rediss:// whether REDIS_TLS_CA_FILE holds the CA of their certificates";
}

/** Why a connection to `store` failed, and what to do about it where that is known. */
export function reasonWithAdvice(store: string, error: unknown): string {
  const advice = tlsAdvice(store, error);
  return advice === null ? reasonOf(error) : `${reasonOf(error)}; ${advice}`;
}
