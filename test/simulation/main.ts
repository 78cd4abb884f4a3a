import { simulate } from "./simulate.js";

const args = process.argv.slice(2);
const option = (name: string, otherwise: number) => {
  const index = args.indexOf(`--${name}`);
  return index < 0 ? otherwise : Number(args[index + 1]);
};
const seeds = option("seeds", 10_000);
const only = option("seed", Number.NaN);
const first = Number.isNaN(only) ? option("from", Math.floor(Math.random() * 2 ** 40)) : only;
const startedAt = performance.now();
let events = 0;
let failed = 0;
for (let seed = first; seed < first + (Number.isNaN(only) ? seeds : 1); seed++) {
  const outcome = await simulate(
    seed,
    args.includes("--log")
      ? { log: (at, who, what) => console.log(at.toFixed(1).padStart(9), who.padEnd(10), what) }
      : {},
  );
  events += outcome.events;
  if (outcome.violations.length > 0) {
    failed++;
    console.log(`seed ${seed} ${outcome.scenario.calm ? "calm" : ""}`, JSON.stringify(outcome.violations));
  }
}
console.log({ failed, events, seconds: (performance.now() - startedAt) / 1000 });
