import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { CliError, EXIT } from "../../cli-error.js";
import { table } from "../../output.js";
import { type CommonOptions, examples, fleetCommand, runCommand, wholeNumber } from "../common.js";
import { applyAssignments, configDifferences, inWords, isObject } from "./assignments.js";
import { type ChangeOptions, changeConfig, who } from "./change.js";
import { ask, type ConfigAnswer, type Entry, entryOf, type HistoryAnswer } from "./config-api.js";

interface SetOptions extends ChangeOptions {
  file?: string;
}

interface HistoryOptions extends CommonOptions {
  before?: number;
  limit: number;
}

const VERSION = wholeNumber(1, Number.MAX_SAFE_INTEGER);

/** `config get|set|history|diff|rollback|cancel`. */
export function configCommands(): Command[] {
  return [getCommand(), setCommand(), historyCommand(), diffCommand(), rollbackCommand(), cancelCommand()];
}

function getCommand(): Command {
  return fleetCommand("get", "the config in force, and what is to come").action((options: CommonOptions) =>
    runCommand(options, async (output) => {
      const answer = await ask<ConfigAnswer>(options, "/v1/config");
      const entries = [...(answer.current === null ? [] : [answer.current]), ...answer.upcoming];
      const lines = entries.map(
        (entry, index) =>
          `config ${entry.version} ${index === 0 && answer.current !== null ? "since" : "from"} ${entry.activatesAt}\n` +
          JSON.stringify(entry.config, null, 2),
      );
      output.print(answer, lines.join("\n") || "no config yet: `ringfleet config default` makes one");
      return EXIT.ok;
    }),
  );
}

function setCommand(): Command {
  return withScheduling(fleetCommand("set", "change the config for all workers, at one tick"))
    .argument("[assignments...]", "key=value; custom.name=value for your own")
    .option("--file <path>", "a whole config as JSON; - reads stdin")
    .addHelpText(
      "after",
      examples(
        ["ringfleet config set increment=2 --at +5s", "in 5 s, at the same tick everywhere"],
        ["ringfleet config set --file config.json", "a whole config, as soon as all can know it"],
      ),
    )
    .action((assignments: string[], options: SetOptions) =>
      runCommand(options, async (output) => {
        if (options.file === undefined && assignments.length === 0) {
          throw new CliError("usage", "say what to set: key=value, or --file", EXIT.usage);
        }
        const whole = options.file === undefined ? null : readConfig(options.file);
        return changeConfig(options, output, (before) => applyAssignments(whole ?? before, assignments));
      }),
    );
}

function rollbackCommand(): Command {
  return withScheduling(fleetCommand("rollback", "a new version with an old one's content"))
    .argument("<version>", "whose content", VERSION)
    .action((version: number, options: SetOptions) =>
      runCommand(options, async (output) => {
        const { config } = await entryOf(options, version);
        return changeConfig({ reason: `rollback to ${version}`, ...options }, output, () => config);
      }),
    );
}

function historyCommand(): Command {
  return fleetCommand("history", "versions, newest first: who, when, why, and the first tick that each ruled")
    .option("--limit <n>", "at most so many", wholeNumber(1, 500), 50)
    .option("--before <version>", "only those below it", VERSION)
    .action((options: HistoryOptions) =>
      runCommand(options, async (output) => {
        const before = options.before === undefined ? "" : `&before=${options.before}`;
        const path = `/v1/config/history?limit=${options.limit}${before}`;
        const answer = await ask<HistoryAnswer>(options, path);
        const rows = answer.versions.map((each) => [
          String(each.version),
          each.activatesAt,
          each.firstTick,
          each.createdBy,
          inOneLine(each.reason),
        ]);
        const lines = table(["VERSION", "ACTIVATES", "FIRST TICK", "BY", "REASON"], rows);
        const more = answer.before === null ? "" : `\nolder ones: --before ${answer.before}`;
        output.print(answer, lines + more);
        return EXIT.ok;
      }),
    );
}

function diffCommand(): Command {
  return fleetCommand("diff", "what differs between two versions")
    .argument("<from>", "a version", VERSION)
    .argument("<to>", "another version", VERSION)
    .action((from: number, to: number, options: CommonOptions) =>
      runCommand(options, async (output) => {
        const before = await entryOf(options, from);
        const after = await entryOf(options, to);
        const differences = configDifferences(before.config, after.config);
        output.print({ from, to, differences }, inWords(differences).join("\n") || "no difference");
        return EXIT.ok;
      }),
    );
}

function cancelCommand(): Command {
  return fleetCommand("cancel", "take back a version that is not yet active")
    .argument("<version>", "the pending version", VERSION)
    .option("--reason <text>", "why, for the history")
    .action((version: number, options: CommonOptions & { reason?: string }) =>
      runCommand(options, async (output) => {
        const { reason } = options;
        const said = new URLSearchParams({ by: who(), ...(reason === undefined ? {} : { reason }) });
        const entry = await ask<Entry>(options, `/v1/config/${version}?${said}`, { method: "DELETE" });
        output.print(
          entry,
          `config ${version} will not rule: config ${entry.version} repeats what rules before it`,
        );
        return EXIT.ok;
      }),
    );
}

/** A reason may be a commit message. */
function inOneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

function withScheduling(command: Command): Command {
  return command
    .option("--at <time>", "when: +5s, +2m, +1h, or an ISO time (default: as soon as every worker can know)")
    .option("--replace", "also ahead of a pending version, which then never rules")
    .option("--reason <text>", "why, for the history");
}

function readConfig(path: string): Record<string, unknown> {
  try {
    const config: unknown = JSON.parse(readFileSync(path === "-" ? 0 : path, "utf8"));
    if (isObject(config)) return config;
  } catch (error) {
    throw new CliError("bad_config", `${path}: ${(error as Error).message}`, EXIT.usage, { cause: error });
  }
  throw new CliError("bad_config", `${path}: must hold one JSON object`, EXIT.usage);
}
