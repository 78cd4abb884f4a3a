/** Beyond its own limit a statement may need this long until the loop goes on. */
const SLACK_MS = 5000;

/** Signs of life of a tick loop, ms of one monotonic clock. */
export interface TickLoopSigns {
  /** When its newest round ended. */
  roundAt: number;
  /** When Postgres last answered it: the round of a long tick goes on for as long as the tick. */
  answeredAt: number;
  /** How long it waits for one answer at most. */
  answerLimitMs: number;
}

/** Why a worker should be restarted, in words: its tick loop shows no sign of life for `ms`. Null while it does. */
export function stuckReason(signs: TickLoopSigns, ms: number, now: number): string | null {
  const silentMs = now - Math.max(signs.roundAt, signs.answeredAt);
  if (silentMs <= Math.max(ms, signs.answerLimitMs + SLACK_MS)) return null;
  return `the tick loop has made no round for ${Math.round(silentMs / 1000)} s`;
}
