// npm run check: everything about the sources that needs no server, in well under a minute.
import { CHECKS } from "./checks.mjs";
import { runSteps } from "./steps.mjs";

const { failed } = await runSteps([...CHECKS, ["unit tests", "npx", ["vitest", "run", "--project", "unit"]]]);
process.exit(failed.length === 0 ? 0 : 1);
