import { appendFileSync } from "node:fs";

/**
 * Tells a figure that a test has measured. `npm run faults` collects them in MEASURED_FILE, one JSON object a
 * line, and writes docs/reliability.md from it.
 */
export function measured(fault: string, figure: string): void {
  console.log(`measured: ${fault}: ${figure}`);
  const file = process.env["MEASURED_FILE"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ fault, figure })}\n`);
}
