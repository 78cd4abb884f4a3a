// npm test: every check and every test. The last line counts them all: `N passed, N failed`.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHECKS } from "./checks.mjs";
import { run, runSteps } from "./steps.mjs";

/** Of a run that was killed, or never began. */
const NO_REPORT = { passed: 0, failed: 1 };

const folder = mkdtempSync(join(tmpdir(), "ringfleet-test-"));
const report = join(folder, "report.json");

const steps = await runSteps([...CHECKS, ["build", "npm", ["run", "--silent", "build"]]]);
let passed = steps.passed.length;
let failed = steps.failed.length;

if (!steps.failed.includes("build")) {
  const ok = await run("npx", [
    "vitest",
    "run",
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
  ]);
  const counts = readCounts();
  if (counts === NO_REPORT) steps.failed.push("the test run broke off before its report, see above");
  passed += counts.passed;
  // A run that breaks off without counting what failed has failed all the same.
  failed += counts.failed + (ok || counts.failed > 0 ? 0 : 1);
}
rmSync(folder, { recursive: true, force: true });
for (const name of steps.failed) console.log(`FAILED: ${name}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function readCounts() {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    const brokenFiles = testResults.filter(
      (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
    ).length;
    return { passed: numPassedTests, failed: numFailedTests + brokenFiles };
  } catch {
    return NO_REPORT;
  }
}
