import { z } from "zod";

/** How the fleet works, as users set it. A tick is ruled by exactly one config. */
export const configSchema = z.strictObject({
  /** Length of a tick in milliseconds. */
  tickMs: z.int().min(100).max(3_600_000),
  /** What each tick adds to a row's value. */
  increment: z.int().min(-1_000_000).max(1_000_000),
  /** Ticks go on, rows are left alone. */
  paused: z.boolean(),
  /** Rows a second each worker works at most; 0 = unlimited. */
  maxRowsPerSecond: z.int().min(0).max(10_000_000),
  /** Free JSON for users' own work. */
  custom: z.record(z.string(), z.json()),
});

export type Config = z.infer<typeof configSchema>;

export const DEFAULT_CONFIG: Config = {
  tickMs: 1000,
  increment: 1,
  paused: false,
  maxRowsPerSecond: 0,
  custom: {},
};
