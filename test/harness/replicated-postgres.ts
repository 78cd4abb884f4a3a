import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../../cli/stores/postgres-server.js";
import { waitFor } from "./fleet.js";
import { TcpProxy } from "./tcp-proxy.js";

/** A primary with a synchronous standby, both of the test's own. */
export interface ReplicatedPostgres {
  primary: PostgresServer;
  standby: PostgresServer;
  /** The way of the WAL; cut, it stalls every commit of the primary. */
  replication: TcpProxy;
  /** Makes the standby the primary; resolves when it takes writes. The old primary must be dead by then. */
  promote(): Promise<void>;
  close(): Promise<void>;
}

/** Resolves when the standby streams: from then on a commit returns once both have it. */
export async function startReplicatedPostgres(): Promise<ReplicatedPostgres> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-replicated-"));
  const log = () => undefined;
  const settings = { synchronous_standby_names: "*", wal_sender_timeout: "60s" };
  const options = { durable: false, log };
  const primary = await startPostgres({ ...options, dataDir: join(folder, "primary"), settings });
  await primary.stop();
  const standbyPlace = join(folder, "standby");
  // With its owner: for root, Postgres runs as somebody else.
  await promisify(execFile)("cp", ["-a", primary.dataPlace, standbyPlace]);
  await primary.restart();
  const replication = await TcpProxy.start(primary.url);
  const { password, port } = new URL(replication.through(primary.url));
  await writeFile(join(standbyPlace, "standby.signal"), "");
  const standby = await startPostgres({
    ...options,
    dataDir: standbyPlace,
    settings: {
      primary_conninfo: `host=127.0.0.1 port=${port} user=postgres password=${password}`,
      // A silent primary is noticed by nobody here: the test says when it is dead.
      wal_receiver_timeout: "60s",
    },
  });
  await untilStreaming(primary.url);
  return {
    primary,
    standby,
    replication,
    promote: async () => {
      const client = new pg.Client({ connectionString: standby.url });
      await client.connect();
      try {
        await client.query("SELECT pg_promote(true, 60)");
      } finally {
        await client.end();
      }
    },
    close: async () => {
      await Promise.all([standby.stop("immediate"), primary.stop("immediate")]);
      await replication.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilStreaming(primaryUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: primaryUrl });
  await client.connect();
  try {
    await waitFor(
      "the standby to stream",
      async () =>
        (await client.query("SELECT FROM pg_stat_replication WHERE sync_state = 'sync'")).rows.length > 0,
      20_000,
    );
  } finally {
    await client.end();
  }
}
