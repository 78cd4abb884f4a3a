import { chmod, chown, copyFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Certificate } from "./certificates.js";
import { query } from "./store-clients.js";
import type { TestStores } from "./stores.js";

/** Which connections by TCP the server takes; the harness itself goes by clear text from the same machine. */
export type HostRule = "tls-or-clear" | "tls-only" | "client-certificate";

/** Switches TLS on in a running server, or presents another certificate there. New connections see it. */
export async function presentCertificate(
  stores: TestStores,
  server: Certificate,
  clientCa: string | null = null,
): Promise<void> {
  const { dataPlace } = stores.postgres;
  const { uid, gid } = await stat(dataPlace);
  const files: Record<string, string> = { "tls.crt": server.cert, "tls.key": server.key };
  if (clientCa !== null) files["clients.crt"] = clientCa;
  for (const [name, from] of Object.entries(files)) {
    const to = join(dataPlace, name);
    await copyFile(from, to);
    await chmod(to, 0o600);
    await chown(to, uid, gid);
  }
  const settings = {
    ssl_cert_file: "tls.crt",
    ssl_key_file: "tls.key",
    ssl_ca_file: clientCa === null ? "" : "clients.crt",
    ssl: "on",
  };
  for (const [name, value] of Object.entries(settings)) {
    await query(stores.databaseUrl, `ALTER SYSTEM SET ${name} = '${value}'`);
  }
  await query(stores.databaseUrl, "SELECT pg_reload_conf()");
}

/** Rules for role `postgres` by way of `localhost`; the harness says 127.0.0.1 and is asked its password as ever. */
export async function restrictHosts(stores: TestStores, role: string, rule: HostRule): Promise<void> {
  const path = join(stores.postgres.dataPlace, "pg_hba.conf");
  const before = (await readFile(path, "utf8")).replace(/^.*# by the test\n/gm, "");
  const lines: Record<HostRule, string> = {
    "tls-or-clear": "",
    "tls-only": `hostnossl all ${role} all reject # by the test\n`,
    "client-certificate":
      `hostnossl all ${role} all reject # by the test\n` + `hostssl all ${role} all cert # by the test\n`,
  };
  await writeFile(path, lines[rule] + before);
  await query(stores.databaseUrl, "SELECT pg_reload_conf()");
}
