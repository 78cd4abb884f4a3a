import type { Rewrite } from "./tcp-proxy.js";

const CRLF = "\r\n";

/**
 * Loses, repeats and delays (so that later ones overtake them) published messages on their way to a subscriber,
 * each with the given probability. Everything else of the Redis protocol passes untouched, in order.
 */
export function scrambleHints(probability: number, random: () => number, onHint: () => void): () => Rewrite {
  return () => {
    let unread = Buffer.alloc(0);
    return (bytes, pass) => {
      unread = Buffer.concat([unread, bytes]);
      for (;;) {
        const end = endOfReply(unread, 0);
        if (end === null) return;
        const reply = unread.subarray(0, end);
        unread = unread.subarray(end);
        if (!isMessage(reply)) {
          pass(reply);
          continue;
        }
        onHint();
        if (random() < probability) continue;
        if (random() < probability) setTimeout(pass, 50 + random() * 1500, reply);
        else pass(reply);
        if (random() < probability) setTimeout(pass, random() * 1500, reply);
      }
    };
  };
}

function isMessage(reply: Buffer): boolean {
  return /^[*>]3\r\n\$7\r\nmessage\r\n/.test(reply.subarray(0, 24).toString("latin1"));
}

/** The offset behind the reply (RESP 2 or 3) that begins at `start`; null while it isn't complete. */
function endOfReply(bytes: Buffer, start: number): number | null {
  const lineEnd = bytes.indexOf(CRLF, start);
  if (lineEnd === -1) return null;
  const kind = String.fromCharCode(bytes[start] ?? 0);
  const length = Number(bytes.toString("latin1", start + 1, lineEnd));
  const next = lineEnd + CRLF.length;
  if ("$=!".includes(kind)) {
    if (length < 0) return next;
    const end = next + length + CRLF.length;
    return end <= bytes.length ? end : null;
  }
  if (!"*>~%".includes(kind) || length < 0) return next;
  let end: number | null = next;
  for (let item = 0; item < length * (kind === "%" ? 2 : 1); item++) {
    end = endOfReply(bytes, end);
    if (end === null) return null;
  }
  return end;
}
