import type { WorkersAnswer } from "../control-plane/api/workers-route.js";

/** A crash may leave rows unworked for 3 ticks; on top of that what it takes to count a large table. */
const UNWORKED_TICKS = 3;
const COUNT_MS = 2000;
/** Under a bound on rows each has its turn; slices and their parts aren't all equal. */
const LONGEST_TURN = 3;

/** What is wrong with a fleet, in words; empty where all is well. */
export function fleetProblems({ leader, workers, config, table, redisAnswers }: WorkersAnswer): string[] {
  const problems: string[] = [];
  if (leader === null) problems.push("no control plane leads");
  if (config === null) problems.push("there is no config (insert one: ringfleet config default)");
  if (!workers.some((worker) => worker.seat !== null)) problems.push("no worker is seated");
  // Then nobody's heartbeats are seen, whoever sends them.
  if (!redisAnswers) problems.push("Redis doesn't answer the control plane: joins, leaves and deaths wait");
  for (const { name, state } of redisAnswers ? workers : []) {
    if (state === "silent" || state === "unfit") problems.push(`${name} is ${state}`);
    if (state === "foreign") problems.push(`${name} belongs to another fleet that shares this Redis`);
  }
  const ageMs = table?.oldestRowAgeMs ?? 0;
  if (config !== null && !config.paused) {
    const seated = workers.filter((worker) => worker.seat !== null).length;
    const turnMs = LONGEST_TURN * turnOfAll(table?.rows ?? 0, seated * config.maxRowsPerSecond);
    if (ageMs > UNWORKED_TICKS * config.tickMs + COUNT_MS + turnMs) {
      problems.push(`a row was last worked ${seconds(ageMs)} ago`);
    }
  }
  return problems;
}

/** Milliseconds until every row has had its turn; 0 where all have it at every tick. */
function turnOfAll(rows: number, rowsPerSecond: number): number {
  return rowsPerSecond > 0 ? (1000 * rows) / rowsPerSecond : 0;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
