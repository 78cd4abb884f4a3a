// npm run faults: the whole fault matrix on real processes; writes what it measured into docs/reliability.md.
// KILLS=n sets how often a worker is killed (40).
import { measurements, setting, writeSection } from "./reliability.mjs";
import { run } from "./steps.mjs";

const measured = measurements();
const env = { FAULTS: "all", KILLS: process.env.KILLS ?? "40", MEASURED_FILE: measured.file };
let ok = await run("npm", ["run", "--silent", "build"]);
ok = ok && (await run("npx", ["vitest", "run", "--project", "faults"], env));
ok =
  (await run("npx", ["vitest", "run", "--project", "integration", "fleet-crash", "fleet-outages"], env)) &&
  ok;

const rows = measured.take();
writeSection(
  "faults",
  `Measured by \`npm run faults\` (${setting()}).

| fault | measured |
|---|---|
${rows.map(({ fault, figure }) => `| ${fault} | ${figure} |`).join("\n")}

${ok ? "Every bound that the tests set was kept." : "**Some bound was not kept in this run.**"}`,
);
process.exit(ok ? 0 : 1);
