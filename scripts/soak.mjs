// npm run soak: a fleet under a random fault every 10 s for SOAK_MINUTES (20); writes what it measured into
// docs/reliability.md. SEED=n repeats a run's faults.
import { measurements, setting, writeSection } from "./reliability.mjs";
import { run } from "./steps.mjs";

const measured = measurements();
const env = { SOAK_MINUTES: process.env.SOAK_MINUTES ?? "20", MEASURED_FILE: measured.file };
let ok = await run("npm", ["run", "--silent", "build"]);
ok = ok && (await run("npx", ["vitest", "run", "--project", "soak"], env));
const [row] = measured.take();
const outcome = ok ? "Every bound was kept." : "**Some bound was not kept in this run.**";
if (row !== undefined) {
  writeSection(
    "soak",
    `Measured by \`npm run soak\` (${setting()}): ${row.fault}: ${row.figure}. ${outcome}`,
  );
}
process.exit(ok ? 0 : 1);
