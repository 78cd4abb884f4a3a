import { findFreePort } from "../../cli/stores/free-port.js";
import { type Certificates, makeCertificates } from "./certificates.js";
import { query } from "./store-clients.js";
import { startTestStores, type TestStores } from "./stores.js";

export interface TlsStores {
  certificates: Certificates;
  stores: TestStores;
  /** Redis takes TLS and client certificates there; its own port speaks in clear text. */
  redisTlsPort: number;
  close(): Promise<void>;
}

/** Redis with TLS from the start; Postgres presents what a test says (postgres-tls.ts) to role `fleet`. */
export async function startTlsStores(): Promise<TlsStores> {
  const certificates = await makeCertificates();
  const redisTlsPort = await findFreePort();
  const { ca, server } = certificates;
  const files = { "tls-cert-file": server.cert, "tls-key-file": server.key, "tls-ca-cert-file": ca.file };
  const args = Object.entries(files).flatMap(([name, path]) => [`--${name}`, path]);
  const stores = await startTestStores({ redis: { args: ["--tls-port", String(redisTlsPort), ...args] } });
  await query(stores.databaseUrl, "CREATE ROLE fleet LOGIN PASSWORD 'fleet'");
  return {
    certificates,
    stores,
    redisTlsPort,
    async close() {
      await stores.close();
      await certificates.close();
    },
  };
}

/** As the fleet's role, by a name that stands in the certificate. */
export function fleetUrl(databaseUrl: string, host = "localhost"): string {
  const url = new URL(databaseUrl);
  url.username = "fleet";
  url.password = "fleet";
  url.hostname = host;
  return url.href;
}
