import { type PostgresAddress, postgresAddress, type SslMode, urlWithTls } from "../core/postgres/address.js";
import { type Environment, readSetting, readTextFile } from "../core/settings/environment.js";
import { SETTINGS, type Setting } from "../core/settings/setting.js";
import { SettingsError } from "../core/settings/settings-error.js";

/**
 * A setting as the fleet's processes read it (NAME_FILE included), or null where it isn't set.
 * Throws SettingsError.
 */
export function readEnvironment(key: keyof typeof SETTINGS, env: Environment): string | null {
  const setting: Setting = SETTINGS[key];
  if (!env[setting.name] && !env[`${setting.name}_FILE`]) return null;
  const reading = readSetting(setting, "worker", env, readTextFile);
  if (!reading.ok) throw new SettingsError([reading.problem]);
  return String(reading.value);
}

/** DATABASE_URL with what PG_SSL_* say as parameters of libpq's, or null where it isn't set. Throws SettingsError. */
export function databaseUrlOf(env: Environment): string | null {
  const databaseUrl = readEnvironment("databaseUrl", env);
  if (databaseUrl === null) return null;
  const settings = {
    databaseUrl,
    pgSslMode: readEnvironment("pgSslMode", env) as SslMode | null,
    pgSslCaFile: readEnvironment("pgSslCaFile", env),
    pgSslCertFile: readEnvironment("pgSslCertFile", env),
    pgSslKeyFile: readEnvironment("pgSslKeyFile", env),
  };
  postgresAddress(settings, () => undefined);
  return urlWithTls(settings);
}

/** Where a URL leads that says everything itself. Throws SettingsError. */
export function addressOf(databaseUrl: string): PostgresAddress {
  const nothingElse = { pgSslMode: null, pgSslCaFile: null, pgSslCertFile: null, pgSslKeyFile: null };
  return postgresAddress({ databaseUrl, ...nothingElse }, () => undefined);
}

/** The schema that holds the tables. */
export function schemaName(env: Environment): string {
  return readEnvironment("pgSchema", env) ?? "public";
}

/** `env` with `settings` in force: a NAME_FILE beside them would contradict. */
export function withSettings(env: Environment, settings: Readonly<Record<string, string>>): Environment {
  const changed: Record<string, string | undefined> = { ...env, ...settings };
  for (const name of Object.keys(settings)) delete changed[`${name}_FILE`];
  return changed;
}
