import { type Logger, pino } from "pino";

/** JSON lines on stdout, written at once: nothing is lost when the process ends. */
export function createLogger(level: string, base: Record<string, unknown>): Logger {
  return pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: ["databaseUrl", "redisUrl", "apiToken", "*.databaseUrl", "*.redisUrl", "*.apiToken"],
    },
    pino.destination({ dest: 1, sync: true }),
  );
}
