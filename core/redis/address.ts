import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import type { SettingsOf } from "../settings/setting.js";
import { SettingsError } from "../settings/settings-error.js";
import { type CertificateFile, CertificateFiles } from "../tls/certificate-files.js";

/** Where Redis is, and how to be sure of it: what every connection is made from. */
export interface RedisAddress {
  /** redis:// with its password, also where `tls` is set. */
  url: string;
  /** The server's certificate and its host name are verified. */
  tls: ConnectionOptions | null;
  sentinel: Sentinel | null;
}

/** Sentinels tell where the master is; account and database number are still those of the URL. */
interface Sentinel {
  hosts: readonly { host: string; port: number }[];
  master: string;
  password: string | null;
}

export type RedisAddressSettings = Pick<
  SettingsOf<"worker">,
  | "redisUrl"
  | "redisPassword"
  | "redisTlsCaFile"
  | "redisTlsCertFile"
  | "redisTlsKeyFile"
  | "redisSentinels"
  | "redisSentinelMaster"
  | "redisSentinelPassword"
>;

/** Throws SettingsError. `onProblem` hears of rotated files that can't be used. */
export function redisAddress(
  settings: RedisAddressSettings,
  onProblem: (problem: string) => void,
): RedisAddress {
  const files = {
    ca: named("REDIS_TLS_CA_FILE", settings.redisTlsCaFile),
    cert: named("REDIS_TLS_CERT_FILE", settings.redisTlsCertFile),
    key: named("REDIS_TLS_KEY_FILE", settings.redisTlsKeyFile),
  };
  const sentinel =
    settings.redisSentinels === null
      ? null
      : {
          hosts: settings.redisSentinels,
          master: settings.redisSentinelMaster,
          password: settings.redisSentinelPassword,
        };
  const url = urlWithPassword(settings);
  if (!/^rediss:/i.test(url)) {
    refuseUnusedFile(Object.values(files));
    return { url, tls: null, sentinel };
  }
  const { hostname } = new URL(url);
  const certificates = new CertificateFiles(files, onProblem);
  const tls = {
    // ioredis copies these for each connection, and so asks anew.
    get secureContext() {
      return certificates.context();
    },
    // Without it no name is sent to a proxy that tells servers apart by it; a sentinel's answer comes later.
    ...(sentinel === null && isIP(hostname.replace(/[[\]]/g, "")) === 0 ? { servername: hostname } : {}),
  };
  return { url: url.replace(/^rediss:/i, "redis:"), tls, sentinel };
}

function urlWithPassword({ redisUrl, redisPassword }: RedisAddressSettings): string {
  if (redisPassword === null) return redisUrl;
  const url = new URL(redisUrl);
  if (url.password !== "") {
    const allowed = "must not be set where REDIS_URL has a password";
    throw new SettingsError([{ name: "REDIS_PASSWORD", value: "(not shown)", allowed }]);
  }
  url.password = encodeURIComponent(redisPassword);
  return url.href;
}

/** Somebody believes that this connection is encrypted. */
function refuseUnusedFile(files: readonly (CertificateFile | null)[]): void {
  const file = files.find((each) => each !== null);
  if (file === undefined || file === null) return;
  const allowed = "must not be set where REDIS_URL is redis://: TLS needs rediss://";
  throw new SettingsError([{ name: file.variable, value: file.path, allowed }]);
}

function named(variable: string, path: string | null): CertificateFile | null {
  return path === null ? null : { variable, path };
}
