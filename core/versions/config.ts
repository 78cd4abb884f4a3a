import { z } from "zod";

/** How the fleet works, as users set it. A tick is ruled by exactly one config. */
export const configSchema = z
  .strictObject({
    tickMs: z.int().min(100).max(3_600_000).describe("Length of a tick in milliseconds."),
    increment: z.int().min(-1_000_000).max(1_000_000).describe("What each tick adds to a row's value."),
    paused: z.boolean().describe("Ticks go on, rows are left alone."),
    maxRowsPerSecond: z
      .int()
      .min(0)
      .max(10_000_000)
      .describe("Rows a second that each worker works at most; 0 = unlimited."),
    custom: z.record(z.string(), z.json()).describe("Free JSON for users' own work."),
  })
  .meta({ id: "Config" });

export type Config = z.infer<typeof configSchema>;

export const DEFAULT_CONFIG: Config = {
  tickMs: 1000,
  increment: 1,
  paused: false,
  maxRowsPerSecond: 0,
  custom: {},
};
