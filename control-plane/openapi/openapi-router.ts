import { Router } from "express";
import { createDocument } from "zod-openapi";
import { PATHS } from "./operations.js";

/** GET /v1/openapi.json: made from the zod schemas that the routes themselves use. */
export function openApiRouter(release: string): Router {
  const router = Router();
  const document = JSON.stringify(
    createDocument({
      openapi: "3.1.0",
      info: {
        title: "ringfleet control plane",
        version: release,
        description:
          "Every replica serves every route. Errors are application/problem+json with a stable `code`.",
      },
      components: {
        securitySchemes: { bearer: { type: "http", scheme: "bearer", description: "API_TOKEN" } },
      },
      paths: PATHS,
    }),
  );
  router.get("/v1/openapi.json", (_request, response) => {
    response.type("application/json").send(document);
  });
  return router;
}
