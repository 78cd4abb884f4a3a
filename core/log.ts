import { type DestinationStream, type Logger, pino } from "pino";

/** Where settings, errors (a URL that doesn't parse stands in `input`) and requests could carry a secret. */
const SECRETS = [
  "databaseUrl",
  "redisUrl",
  "redisPassword",
  "apiToken",
  "webhookSecret",
  "webhookSecretPrevious",
  "configSourceUrl",
  "redisSentinelPassword",
  "configSourceToken",
  "password",
  "*.databaseUrl",
  "*.redisUrl",
  "*.redisPassword",
  "*.apiToken",
  "*.webhookSecret",
  "*.webhookSecretPrevious",
  "*.configSourceUrl",
  "*.redisSentinelPassword",
  "*.configSourceToken",
  "*.password",
  "err.input",
  "err.connectionString",
  "*.headers.authorization",
  '*.headers["webhook-signature"]',
];

/**
 * JSON lines on stdout, `base` in each, written before the call returns: nothing is lost when the process ends.
 * `level` as LOG_LEVEL has it.
 */
export function createLogger(
  level: string,
  base: Record<string, unknown>,
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
): Logger {
  return pino(
    {
      level,
      base,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: SECRETS,
    },
    destination,
  );
}
