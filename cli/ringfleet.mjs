#!/usr/bin/env node
// What `npx ringfleet` runs. npx makes it executable only when it sees it first, so it can't be a file that the
// build writes: a build after that, or a fresh clone in the same folder, would end in "Permission denied".
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const built = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(built)) {
  await import(built.href);
} else {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  process.stderr.write(`ringfleet: not built yet: run \`npm ci && npm run build\` in ${folder}\n`);
  process.exitCode = 2;
}
