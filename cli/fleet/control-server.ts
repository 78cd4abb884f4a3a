import { timingSafeEqual } from "node:crypto";
import express, { Router } from "express";
import { pino } from "pino";
import { z } from "zod";
import { Problem } from "../../core/http/problem.js";
import { createApp, type HttpServer, listen } from "../../core/http/server.js";

const scaleSchema = z.strictObject({ workers: z.int().min(0) });

/** Where `ringfleet scale` reaches the running `up`: on loopback, with the token of its state file. */
export async function startControlServer(options: {
  token: string;
  /** Throws where so many can't run. Resolves when leavers have left. */
  scale: (workers: number) => Promise<string[]>;
}): Promise<HttpServer> {
  const router = Router();
  router.use((request, _response, next) => {
    if (isToken(request.headers.authorization ?? "", options.token)) next();
    else
      throw new Problem({
        status: 401,
        code: "unauthorized",
        title: "Unauthorized",
        detail: "the token of this `up` is in its state file",
      });
  });
  router.post("/scale", express.json({ limit: "1kb" }), async (request, response) => {
    const parsed = scaleSchema.safeParse(request.body);
    if (!parsed.success) {
      throw new Problem({
        status: 422,
        code: "invalid_scale",
        title: "Invalid number of workers",
        detail: "send a whole number of workers, 0 or more",
      });
    }
    try {
      response.json({ workers: await options.scale(parsed.data.workers) });
    } catch (error) {
      const { code, message } = error as { code?: string; message?: string };
      throw new Problem({
        status: 422,
        code: code ?? "scale_failed",
        title: "Can't scale",
        detail: message ?? String(error),
        cause: error,
      });
    }
  });
  return await listen(createApp([router], pino({ level: "silent" })), "127.0.0.1", 0);
}

function isToken(authorization: string, token: string): boolean {
  const given = Buffer.from(authorization);
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
