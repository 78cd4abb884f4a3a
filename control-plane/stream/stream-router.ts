import { Router } from "express";
import { parseCursor } from "./cursor.js";
import type { VersionStream } from "./version-stream.js";

/** GET /v1/stream: server-sent events `ring` and `config`. `stream` throws while this replica starts. */
export function streamRouter(stream: () => VersionStream): Router {
  const router = Router();
  router.get("/v1/stream", (request, response) => {
    // Express sends HEAD here as well: it would wait for an end that never comes.
    if (request.method === "HEAD") {
      response.type("text/event-stream").end();
      return;
    }
    const lastId = request.headers["last-event-id"];
    stream().add(response, typeof lastId === "string" ? parseCursor(lastId) : null);
  });
  return router;
}
