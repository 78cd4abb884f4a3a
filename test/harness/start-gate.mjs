// Loaded before a worker's main (node --import): loads all its modules, says so, and waits until the file
// START_GATE exists. So many workers can be started in one moment, as on many machines.
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [, script] = process.argv;
await import(pathToFileURL(script.replace(/main\.js$/, "app.js")).href);
console.log("at the gate");
while (!existsSync(process.env.START_GATE)) await sleep(20);
