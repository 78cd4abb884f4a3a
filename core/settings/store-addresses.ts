import type { Logger } from "pino";
import { type PostgresAddress, type PostgresAddressSettings, postgresAddress } from "../postgres/address.js";
import { type RedisAddress, type RedisAddressSettings, redisAddress } from "../redis/address.js";

/** Both stores, as every connection of a process reaches them. */
export interface StoreAddresses {
  postgres: PostgresAddress;
  redis: RedisAddress;
}

/** Throws SettingsError where a certificate file can't be used. */
export function storeAddresses(
  settings: PostgresAddressSettings & RedisAddressSettings,
  log: Logger,
): StoreAddresses {
  const onProblem = (problem: string) => log.warn(problem);
  return { postgres: postgresAddress(settings, onProblem), redis: redisAddress(settings, onProblem) };
}
