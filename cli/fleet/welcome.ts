import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { LocalStores } from "./local-stores.js";
import type { UpOptions } from "./up.js";

/** What somebody who has just started a fleet wants to know. */
export function welcome(options: UpOptions, stores: LocalStores, insertedRows: number): string[] {
  const psql = `psql '${stores.databaseUrl}' -c 'SELECT * FROM public.work_items ORDER BY currentWorker;'`;
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? "" : "s"}`;
  return [
    `${count(options.workers, "worker")}, ${count(options.controlPlanes, "control plane")}` +
      (insertedRows > 0 ? `, ${count(insertedRows, "new row")}` : ", the rows that were there") +
      (stores.own.length > 0 ? `; ${stores.own.join(", ")}` : ""),
    ...(options.port === 0 ? [] : [`API      http://127.0.0.1:${options.port}/v1/workers`]),
    `rows     ${isInstalled("psql") ? psql : "npx ringfleet rows --watch"}`,
    "scale    npx ringfleet scale 5      (others: status, workers, ring, plan --workers 5, rows --watch)",
    "stop     Ctrl-C; everything is handed over and ends, the data stays",
  ];
}

function isInstalled(command: string): boolean {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.some((folder) => folder !== "" && existsSync(join(folder, command)));
}
