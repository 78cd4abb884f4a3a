import type { Logger } from "pino";
import { runProcess } from "../core/lifecycle/process.js";
import { createLogger } from "../core/log.js";
import { parseWorkerSettings } from "../core/settings/settings.js";
import { startWorker } from "./app.js";

let log: Logger | null = null;

await runProcess(
  () => {
    const settings = parseWorkerSettings(process.env);
    log = createLogger(settings.logLevel, { worker: settings.workerName });
    return startWorker(settings, log);
  },
  () => log,
);
