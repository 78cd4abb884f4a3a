import { defineConfig } from "vitest/config";

// Integration tests start real servers and processes and measure real time: one file at a time, so
// that two of them never compete for the cores that the ticks under test need.
const REAL_TIME = { testTimeout: 180_000, hookTimeout: 120_000, fileParallelism: false };
// The simulation needs a core for itself but no real time.
const VIRTUAL_TIME = { testTimeout: 300_000, fileParallelism: false };
// One project after the other.
const order = (groupOrder: number) => ({ sequence: { groupOrder } });

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 20_000 } },
      {
        test: { name: "integration", include: ["test/integration/**/*.test.ts"], ...REAL_TIME, ...order(2) },
      },
      {
        test: { name: "simulation", include: ["test/simulation/**/*.test.ts"], ...VIRTUAL_TIME, ...order(1) },
      },
      // Never in CI: npm run soak.
      ...(process.env["SOAK_MINUTES"] === undefined
        ? []
        : [{ test: { name: "soak", include: ["test/soak/**/*.test.ts"], ...REAL_TIME } }]),
      { test: { name: "faults", include: ["test/faults/**/*.test.ts"], ...REAL_TIME, ...order(3) } },
      { test: { name: "chart", include: ["test/chart/**/*.test.ts"], ...REAL_TIME, ...order(4) } },
    ],
  },
});
