import { Router } from "express";
import { parseCursor } from "./cursor.js";
import type { VersionStream } from "./version-stream.js";

/** GET /v1/stream: server-sent events `ring` and `config`. `stream` throws while this replica starts. */
export function streamRouter(stream: () => VersionStream): Router {
  const router = Router();
  router.get("/v1/stream", (request, response) => {
    const lastId = request.headers["last-event-id"];
    stream().add(response, typeof lastId === "string" ? parseCursor(lastId) : null);
  });
  return router;
}
