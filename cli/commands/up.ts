import type { Command } from "commander";
import { LogView } from "../fleet/log-view.js";
import { type RunningUp, startUp, type UpOptions } from "../fleet/up.js";
import type { Output } from "../output.js";
import { examples, jsonCommand, runCommand, wholeNumber } from "./common.js";

const MOST = 100_000;

/** `ringfleet up`: a whole fleet on this machine. */
export function upCommand(): Command {
  return jsonCommand("up", "start a whole fleet on this machine and show what it does")
    .option("--workers <n>", "worker processes", wholeNumber(0, MOST), 3)
    .option("--control-planes <n>", "control-plane replicas; one leads", wholeNumber(1, 9), 2)
    .option("--rows <n>", "rows to insert where work_items has none", wholeNumber(0, 10_000_000), 10)
    .option(
      "--port <port>",
      "port of the first control plane's API; 0 = any free one",
      wholeNumber(0, 65_535),
      8080,
    )
    .option("--dir <folder>", "where data and state live (default: .ringfleet)")
    .addHelpText(
      "after",
      `
Postgres is DATABASE_URL where set, else an embedded one; Redis is REDIS_URL where set, else redis-server or
valkey-server of this machine. Data stays in .ringfleet and survives a restart. Other settings of the fleet's
processes (.env.example lists them) come from the environment, too. A process that crashes is started again.
Ctrl-C hands everything over and ends it; a second one ends it at once.
${examples(
  ["ringfleet up", "3 workers, 2 control planes, 10 rows"],
  ["ringfleet up --workers 10 --rows 100000", "more of it"],
  ["ringfleet up --port 0 --dir /tmp/second", "a second fleet beside the first"],
  ["DATABASE_URL=postgres://… REDIS_URL=redis://… ringfleet up", "on stores of your own"],
)}`,
    )
    .action((options: UpOptions & { json?: boolean }) =>
      runCommand(options, (output) => runUp(options, output)),
    );
}

async function runUp(options: UpOptions, output: Output): Promise<number> {
  const view = new LogView({
    write: (text) => process.stdout.write(text),
    isColored: process.stdout.isTTY === true && !process.env["NO_COLOR"],
    json: output.json,
  });
  // A terminal that has gone, or `up | head`: the fleet goes on, or is stopped in order, all the same.
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
  let running: RunningUp | null = null;
  let signalled = false;
  const stopped = new Promise<void>((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      if (signalled) {
        view.say(`${signal} again: ending everything at once`, "warn");
        running?.kill();
        setTimeout(() => process.exit(1), 200);
        return;
      }
      signalled = true;
      const what =
        running === null ? "stopping as soon as what is starting has started" : "handing over and stopping";
      view.say(`${signal}: ${what}; once more to end everything at once`);
      resolve();
    };
    process.on("SIGINT", onSignal);
    process.on("SIGTERM", onSignal);
    process.on("SIGHUP", onSignal);
  });
  running = await startUp(options, view, process.env);
  const exitCode = await Promise.race([running.ended, stopped.then(() => 0)]);
  await running.stop();
  view.say("everything has ended");
  process.exit(exitCode);
}
