import express, { Router } from "express";
import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import { configEntrySchema } from "../config/config-entry.js";
import type { WebhookService } from "./webhook-service.js";
import { verifySignature } from "./webhook-signature.js";

const BODY_LIMIT = "64kb";

export const webhookAnswerSchema = z
  .strictObject({
    result: z
      .enum(["published", "unchanged", "replayed"])
      .describe("unchanged: it rules already, or is about to; replayed: this message was taken before."),
    entry: configEntrySchema.nullable().describe("What was published."),
  })
  .meta({ id: "WebhookAnswer" });

/** POST /v1/webhooks/config. `secrets`: the current one first; none switches the route off. */
export function webhookRouter(service: () => WebhookService, secrets: readonly string[]): Router {
  const router = Router();
  // The signature covers the bytes as they came: nothing may parse them before.
  const raw = express.raw({ type: () => true, limit: BODY_LIMIT, inflate: false });
  router.post("/v1/webhooks/config", raw, async (request, response) => {
    if (secrets.length === 0) throw switchedOff();
    const body: unknown = request.body;
    const message = verifySignature(secrets, request.headers, Buffer.isBuffer(body) ? body : Buffer.alloc(0));
    const answer: z.infer<typeof webhookAnswerSchema> = await service().take(message);
    response.json(answer);
  });
  return router;
}

function switchedOff(): Problem {
  return new Problem({
    status: 503,
    code: "webhook_not_configured",
    title: "Webhook not configured",
    detail: "this control plane has no WEBHOOK_SECRET: set the one that the sender signs with",
  });
}
