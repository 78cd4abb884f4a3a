import type { Logger } from "pino";
import { runProcess } from "../core/lifecycle/process.js";
import { createLogger } from "../core/log.js";
import { parseControlPlaneSettings } from "../core/settings/settings.js";
import { startControlPlane } from "./app.js";

let log: Logger | null = null;

await runProcess(
  () => {
    const settings = parseControlPlaneSettings(process.env);
    log = createLogger(settings.logLevel, { replica: settings.replicaName });
    return startControlPlane(settings, log);
  },
  () => log,
);
