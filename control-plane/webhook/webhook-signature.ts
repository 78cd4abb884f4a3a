import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { Problem } from "../../core/http/problem.js";

/** A message's timestamp may be this far from the database's clock, either way. */
export const TIMESTAMP_WINDOW_MS = 60_000;

const ID = /^[\x21-\x7e]{1,200}$/;

export type WebhookHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** A message whose signature is right. Its timestamp still has to be compared with the database's clock. */
export interface SignedMessage {
  id: string;
  /** Epoch milliseconds. */
  sentAtMs: number;
  body: string;
}

/**
 * Checks a message by Standard Webhooks: HMAC-SHA256 over id.timestamp.body, with any of `secrets` (the current
 * one, and the one before it while senders change over). Throws Problem 401.
 */
export function verifySignature(
  secrets: readonly string[],
  headers: WebhookHeaders,
  rawBody: Buffer,
): SignedMessage {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signature = headers["webhook-signature"];
  if (typeof id !== "string" || typeof timestamp !== "string" || typeof signature !== "string") {
    throw refused(
      "webhook_headers_missing",
      "the headers webhook-id, webhook-timestamp and webhook-signature must be there, as Standard Webhooks has them",
    );
  }
  if (!ID.test(id) || !/^\d{1,12}$/.test(timestamp)) {
    throw refused(
      "webhook_headers_invalid",
      "webhook-id must be 1 to 200 visible ASCII characters, webhook-timestamp a number of seconds",
    );
  }
  const body = rawBody.toString("utf8");
  const sentAtMs = Number(timestamp) * 1000;
  const signed = {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  if (!secrets.some((secret) => isSignedWith(secret, body, signed))) {
    throw refused(
      "webhook_signature_invalid",
      "webhook-signature is not that of this id, timestamp and body under the secret set here",
    );
  }
  return { id, sentAtMs, body };
}

/** Throws Problem 401 for a message that was sent too long ago, or in the future. */
export function checkTimestamp({ sentAtMs }: SignedMessage, nowMs: number): void {
  const ageMs = nowMs - sentAtMs;
  // Whole seconds are signed: a message of this moment may look up to a second old.
  if (Math.abs(ageMs) <= TIMESTAMP_WINDOW_MS + 1000) return;
  throw refused("webhook_timestamp_refused", timestampDetail(ageMs));
}

/** The library has a window of its own, five minutes by the process's clock. */
function isSignedWith(secret: string, body: string, headers: Record<string, string>): boolean {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    if (/timestamp too/.test(error.message)) {
      const ageMs = Date.now() - Number(headers["webhook-timestamp"]) * 1000;
      throw refused("webhook_timestamp_refused", timestampDetail(ageMs), error);
    }
    return false;
  }
}

function timestampDetail(ageMs: number): string {
  const seconds = Math.round(Math.abs(ageMs) / 1000);
  const where = ageMs > 0 ? "ago" : "ahead";
  return `webhook-timestamp is ${seconds} s ${where}: it must be within ${TIMESTAMP_WINDOW_MS / 1000} s of now`;
}

function refused(code: string, detail: string, cause?: unknown): Problem {
  return new Problem({ status: 401, code, title: "Unauthorized", detail, cause });
}
