import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Router } from "express";
import type { Registry } from "prom-client";
import { healthRouter } from "../core/http/health.js";
import { projectRoot } from "../core/project-root.js";
import type { ControlPlaneSettings } from "../core/settings/settings.js";
import { notReady } from "./api/not-ready.js";
import { apiRouter } from "./api/router.js";
import { configRouter } from "./config/config-router.js";
import type { ControlPlane } from "./control-plane.js";
import { openApiRouter } from "./openapi/openapi-router.js";
import { streamRouter } from "./stream/stream-router.js";
import { webhookRouter } from "./webhook/webhook-router.js";

/** A loop that makes no round for this long is stuck. */
const STUCK_AFTER_MS = 15_000;

export interface RouterOptions {
  settings: Pick<ControlPlaneSettings, "apiToken" | "webhookSecret" | "webhookSecretPrevious">;
  registry: Registry;
  /** Null until the schema is there. */
  plane: () => ControlPlane | null;
  /** What is waited for until then. */
  obstacle: () => string;
}

/** Every route of the control plane. A new one also stands in openapi/operations.ts. */
export function controlPlaneRouters({ settings, registry, plane, obstacle }: RouterOptions): Router[] {
  const joined = (): ControlPlane => plane() ?? notReady();
  const secrets = [settings.webhookSecret, settings.webhookSecretPrevious].filter((each) => each !== null);
  return [
    healthRouter({
      live: () => plane()?.stuckFor(STUCK_AFTER_MS) ?? null,
      ready: () => plane()?.missing() ?? [obstacle()],
      registry,
    }),
    apiRouter(() => plane()?.api ?? null),
    configRouter(() => joined().config, settings.apiToken),
    webhookRouter(() => joined().webhook, secrets),
    streamRouter(() => joined().stream),
    openApiRouter(release()),
  ];
}

function release(): string {
  const { version } = JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}
