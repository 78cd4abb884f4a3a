import { PLANTED_BUGS, type PlantedBug } from "./planted-bugs.js";
import { describeFailure, shrink } from "./shrink.js";
import { type Outcome, simulate } from "./simulate.js";

// npm run simulate [-- --seeds N] [--from SEED]: searches N (10,000) seeds, from a fresh one if none is given.
// npm run simulate -- --seed SEED [--log]: replays one. npm run simulate -- --bugs: finds the planted bugs.
const args = process.argv.slice(2);

function option(name: string): number | null {
  const index = args.indexOf(`--${name}`);
  return index < 0 ? null : Number(args[index + 1]);
}

async function search(first: number, seeds: number): Promise<number> {
  const startedAt = performance.now();
  let events = 0;
  let failed = 0;
  for (let done = 1; done <= seeds; done++) {
    const outcome = await simulate(first + done - 1);
    events += outcome.events;
    if (outcome.violations.length > 0) {
      failed += 1;
      console.log(describeFailure(await shrink(outcome)));
    }
    if (done % 1000 !== 0 && done !== seeds) continue;
    const seconds = (performance.now() - startedAt) / 1000;
    console.log(
      `${done} seeds from ${first}, ${events} events, ${failed} failed; ` +
        `${Math.round(done / seconds)} seeds/s, ${Math.round(events / seconds)} events/s`,
    );
  }
  return failed;
}

async function replay(seed: number): Promise<number> {
  const log = (atMs: number, process: string, message: string) =>
    console.log(`${atMs.toFixed(1).padStart(9)} ${process.padEnd(10)} ${message}`);
  const outcome: Outcome = await simulate(seed, args.includes("--log") ? { log } : {});
  if (outcome.violations.length === 0) {
    console.log(`seed ${seed}: nothing violated in ${outcome.events} events`);
    return 0;
  }
  console.log(describeFailure(await shrink(outcome)));
  return 1;
}

async function isFoundBy(bug: PlantedBug, seed: number): Promise<boolean> {
  const { violations } = await simulate(seed, { bug });
  return violations.some(({ rule }) => rule === bug.breaks);
}

async function findPlanted(): Promise<number> {
  let missed = 0;
  for (const bug of PLANTED_BUGS) {
    let seed = 1;
    while (seed <= 1000 && !(await isFoundBy(bug, seed))) seed += 1;
    if (seed > 1000) missed += 1;
    console.log(`${bug.name}: ${seed > 1000 ? "not found" : `seed ${seed}, ${bug.breaks}`}`);
  }
  return missed;
}

const seed = option("seed");
const fresh = Math.floor(Math.random() * 2 ** 40);
let failed: number;
if (args.includes("--bugs")) failed = await findPlanted();
else if (seed !== null) failed = await replay(seed);
else failed = await search(option("from") ?? fresh, option("seeds") ?? 10_000);
process.exitCode = failed === 0 ? 0 : 1;
