#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { projectRoot } from "../core/project-root.js";
import { EXIT } from "./cli-error.js";
import { configCommands } from "./commands/config/config.js";
import { configDefaultCommand, migrateCommand, rowsCommand } from "./commands/database.js";
import { scaleCommand } from "./commands/scale.js";
import { statusCommand } from "./commands/status.js";
import { upCommand } from "./commands/up.js";
import { ownerCommand, planCommand, ringCommand, sliceCommand, workersCommand } from "./commands/views.js";
import { Output } from "./output.js";

const { version } = JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8")) as {
  version: string;
};

const program = new Command("ringfleet")
  .description("Every row of a Postgres table, worked by exactly one worker at every tick.")
  .version(version)
  .showHelpAfterError("(--help shows what there is)")
  .addCommand(upCommand())
  .addCommand(scaleCommand())
  .addCommand(statusCommand())
  .addCommand(workersCommand())
  .addCommand(ringCommand())
  .addCommand(sliceCommand())
  .addCommand(ownerCommand())
  .addCommand(rowsCommand())
  .addCommand(planCommand())
  .addCommand(migrateCommand())
  .addCommand(
    configCommands().reduce(
      (config, command) => config.addCommand(command),
      new Command("config").summary("the fleet's config").addCommand(configDefaultCommand()),
    ),
  )
  .addHelpText(
    "after",
    `
Exit codes: 0 done, 1 failed or not healthy, 2 wrong usage or setting, 3 the database's schema is newer than this
release, 5 nobody answers.

Start here:
  ringfleet up                    3 workers, 2 control planes, 10 rows, on this machine
  ringfleet rows --watch          in a second terminal: watch the rows
  ringfleet scale 5               … and see them move`,
  );

for (const command of allCommands(program)) {
  command
    .exitOverride()
    .configureOutput(process.argv.includes("--json") ? { writeErr: () => undefined } : {});
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  const isHelp = error.exitCode === 0 || error.code === "commander.help";
  if (!isHelp && process.argv.includes("--json")) {
    new Output(true).fail({
      code: "usage",
      exitCode: EXIT.usage,
      message: error.message.replace(/^error: /, ""),
    });
  }
  process.exitCode = isHelp ? EXIT.ok : EXIT.usage;
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}
