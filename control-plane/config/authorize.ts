import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHandler } from "express";
import { Problem } from "../../core/http/problem.js";

/** Lets requests pass that carry the bearer token; all of them where none is set. Takes the same time for any token. */
export function requireToken(token: string | null): RequestHandler {
  const expected = token === null ? null : sha256(token);
  return (request, response, next) => {
    const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
    if (expected === null || timingSafeEqual(sha256(given), expected)) {
      next();
      return;
    }
    response.setHeader("www-authenticate", "Bearer");
    throw new Problem({
      status: 401,
      code: "token_required",
      title: "Unauthorized",
      detail: "this needs the header `Authorization: Bearer <API_TOKEN>` with the control plane's token",
    });
  };
}

/** Digests have one length: comparing them tells nothing of the token's. */
function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
