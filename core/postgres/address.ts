import { resolve } from "node:path";
import type { ConnectionOptions } from "node:tls";
import type { SettingsOf } from "../settings/setting.js";
import { SettingsError } from "../settings/settings-error.js";
import { type CertificateFile, CertificateFiles } from "../tls/certificate-files.js";
import { withoutParameters } from "./session-config.js";

export type SslMode = "disable" | "require" | "verify-ca" | "verify-full";

/** Where Postgres is, and how to be sure of it: what every connection is made from. */
export interface PostgresAddress {
  /** Without what `ssl` says: pg would take the URL's word over it. */
  url: string;
  /** As pg has it; absent where nobody said anything, and PGSSLMODE decides. */
  ssl?: false | ConnectionOptions;
}

export type PostgresAddressSettings = Pick<
  SettingsOf<"worker">,
  "databaseUrl" | "pgSslMode" | "pgSslCaFile" | "pgSslCertFile" | "pgSslKeyFile"
>;

/** What pg and libpq say in a URL, and what that means to libpq. */
const URL_MODES: Readonly<Record<string, SslMode>> = {
  disable: "disable",
  require: "require",
  "no-verify": "require",
  "verify-ca": "verify-ca",
  "verify-full": "verify-full",
};
const PG_SSL_VALUES: Readonly<Record<string, SslMode>> = {
  true: "verify-full",
  1: "verify-full",
  false: "disable",
  0: "disable",
  "no-verify": "require",
};
const TLS_PARAMETERS = ["ssl", "sslmode", "sslrootcert", "sslcert", "sslkey", "uselibpqcompat"];

/**
 * The settings win over the URL (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`, as libpq has them); with a file
 * and no mode it is verify-full. Throws SettingsError. `onProblem` hears of rotated files that can't be used.
 */
export function postgresAddress(
  settings: PostgresAddressSettings,
  onProblem: (problem: string) => void,
): PostgresAddress {
  const parsed = new URL(settings.databaseUrl);
  const given = parsed.searchParams;
  const files = {
    ca: named("PG_SSL_CA_FILE", settings.pgSslCaFile) ?? fileOfUrl(given, "sslrootcert"),
    cert: named("PG_SSL_CERT_FILE", settings.pgSslCertFile) ?? fileOfUrl(given, "sslcert"),
    key: named("PG_SSL_KEY_FILE", settings.pgSslKeyFile) ?? fileOfUrl(given, "sslkey"),
  };
  const wantsTls =
    Object.values(files).some((file) => file !== null) || given.get("sslrootcert") === "system";
  const mode = settings.pgSslMode ?? modeOfUrl(given) ?? (wantsTls ? "verify-full" : null);
  const url = withoutParameters(settings.databaseUrl, TLS_PARAMETERS);
  // As for libpq: nothing is encrypted within a machine.
  if (isSocket(parsed)) return { url, ssl: false };
  if (mode === null) return { url };
  if (mode === "disable") {
    const file =
      named("PG_SSL_CA_FILE", settings.pgSslCaFile) ?? named("PG_SSL_CERT_FILE", settings.pgSslCertFile);
    if (file !== null)
      throw refused(file.variable, file.path, "must not be set where PG_SSL_MODE (or sslmode) is disable");
    return { url, ssl: false };
  }
  if (mode === "verify-ca" && files.ca === null) {
    throw refused(
      "PG_SSL_CA_FILE",
      null,
      "must be set where PG_SSL_MODE is verify-ca: any CA would do otherwise",
    );
  }
  return { url, ssl: connectOptions(mode, new CertificateFiles(files, onProblem)) };
}

/** The same address as a URL alone, which libpq (psql) understands as well. */
export function urlWithTls(settings: PostgresAddressSettings): string {
  const files = {
    sslrootcert: settings.pgSslCaFile,
    sslcert: settings.pgSslCertFile,
    sslkey: settings.pgSslKeyFile,
  };
  const named = Object.entries(files).filter(([, path]) => path !== null);
  if (settings.pgSslMode === null && named.length === 0) return settings.databaseUrl;
  const url = new URL(settings.databaseUrl);
  const mode = settings.pgSslMode ?? modeOfUrl(url.searchParams) ?? "verify-full";
  for (const name of ["ssl", "uselibpqcompat"]) url.searchParams.delete(name);
  url.searchParams.set("sslmode", mode);
  for (const [name, path] of named) url.searchParams.set(name, resolve(path ?? ""));
  return url.href;
}

function connectOptions(mode: SslMode, files: CertificateFiles): ConnectionOptions {
  const believesAnyone = mode === "require" && !files.hasCa;
  return {
    // pg copies these for each connection, and so asks anew.
    get secureContext() {
      return files.context();
    },
    rejectUnauthorized: !believesAnyone,
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
  };
}

function modeOfUrl(given: URLSearchParams): SslMode | null {
  const sslMode = given.get("sslmode");
  if (sslMode !== null) return chosen("sslmode", sslMode, URL_MODES);
  const ssl = given.get("ssl");
  return ssl === null ? null : chosen("ssl", ssl, PG_SSL_VALUES);
}

/** `prefer` and `allow` are refused: whoever stands between could have everything sent in clear text. */
function chosen(parameter: string, value: string, modes: Readonly<Record<string, SslMode>>): SslMode {
  const mode = Object.hasOwn(modes, value) ? modes[value] : undefined;
  if (mode !== undefined) return mode;
  throw refused(`DATABASE_URL's ${parameter}`, value, `must be one of ${Object.keys(modes).join(", ")}`);
}

function fileOfUrl(given: URLSearchParams, parameter: string): CertificateFile | null {
  const path = given.get(parameter);
  return path === "system" ? null : named(`DATABASE_URL's ${parameter}`, path);
}

function named(variable: string, path: string | null): CertificateFile | null {
  return path === null || path === "" ? null : { variable, path };
}

function isSocket(url: URL): boolean {
  return (url.searchParams.get("host") ?? decodeURIComponent(url.hostname)).startsWith("/");
}

function refused(name: string, value: string | null, allowed: string): SettingsError {
  return new SettingsError([{ name, value, allowed }]);
}
