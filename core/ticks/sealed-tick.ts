/** A row of `ticks`: which ring and which config rule this tick. */
export interface SealedTick {
  /** Epoch milliseconds of the database's clock, on the fleet's time grid. */
  tickMs: number;
  ring: number;
  ringDigest: string;
  config: number;
  configDigest: string;
}

/** What opening found: the newest sealed tick, the one before it, and the database's clock while answering. */
export interface OpenedTick {
  newest: SealedTick | null;
  previous: SealedTick | null;
  databaseNowMs: number;
  /** When the next tick can open, or a pending config changes the grid; null without a config. */
  nextTickMs: number | null;
}
