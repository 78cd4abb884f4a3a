import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type AuditReport, installAudit, judgeAudit } from "../../harness/audit.js";
import { ControlProbe } from "../../harness/control-probe.js";
import { waitFor } from "../../harness/fleet.js";
import { type Manifest, pick } from "../rendering.js";
import { Cluster } from "./cluster.js";
import { renderUpgrade } from "./release.js";

/** The chart installed in a cluster of its own, and what a test asks of its database. */
export class PlayedFleet {
  readonly folder: string;
  readonly cluster: Cluster;
  /** The release's test hooks. */
  hooks: Manifest[] = [];
  #client: pg.Client | null = null;
  #probe: ControlProbe | null = null;

  private constructor(folder: string, cluster: Cluster) {
    this.folder = folder;
    this.cluster = cluster;
  }

  static async start(): Promise<PlayedFleet> {
    const folder = await mkdtemp(join(tmpdir(), "ringfleet-cluster-"));
    await chmod(folder, 0o755);
    return new PlayedFleet(folder, await Cluster.start(folder));
  }

  /** As the bundled Postgres's superuser, once there are rows. */
  get client(): pg.Client {
    if (this.#client === null) throw new Error("nobody has put rows in yet");
    return this.#client;
  }

  /** `helm upgrade --install --wait` with these values. */
  async upgrade(values: Readonly<Record<string, string>>): Promise<void> {
    const manifests = await renderUpgrade(this.cluster.objects, values);
    this.hooks = manifests.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === "test");
    await this.cluster.apply(manifests);
    await this.cluster.settled().catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.cluster.said}`);
    });
  }

  /** Puts in so many rows, and watches them from outside from then on. */
  async insertRows(count: number): Promise<void> {
    const url = await this.#databaseUrl();
    this.#client = new pg.Client({ connectionString: url });
    await this.client.connect();
    const rows = "INSERT INTO work_items (id) SELECT gen_random_uuid() FROM generate_series(1, $1)";
    await this.client.query(rows, [count]);
    await installAudit(this.client);
    // The fleet's own role writes the audit.
    await this.client.query("GRANT ALL ON ALL TABLES IN SCHEMA public TO ringfleet");
    this.#probe = await ControlProbe.start(url);
  }

  async newestTick(): Promise<number> {
    const { rows } = await this.client.query<{ tick: number }>(
      "SELECT (extract(epoch FROM max(tick)) * 1000)::float8 AS tick FROM ticks",
    );
    return rows[0]?.tick ?? 0;
  }

  async untilTick(tick: number): Promise<void> {
    await waitFor("ticks to go on", async () => (await this.newestTick()) >= tick + 2000, 60_000);
  }

  /** Resolves when the newest view seats just these many, and a tick is sealed with it. */
  async untilSeated(count: number): Promise<void> {
    await waitFor(
      `${count} seated workers`,
      async () => {
        const { rows } = await this.client.query<{ seats: number; sealed: boolean }>(
          `SELECT jsonb_array_length(body->'seats') AS seats,
             version = (SELECT ring FROM ticks ORDER BY tick DESC LIMIT 1) AS sealed
           FROM versions WHERE kind = 'ring' ORDER BY version DESC LIMIT 1`,
        );
        return rows[0]?.seats === count && rows[0].sealed;
      },
      60_000,
    );
  }

  async judge(from: number): Promise<AuditReport> {
    await this.untilTick((await this.newestTick()) + 1000);
    const window = { from, to: (await this.newestTick()) - 2000 };
    const excused = (await this.#probe?.missed(this.client, window)) ?? new Set<number>();
    return await judgeAudit(this.client, { ...window, excused });
  }

  /** Ends what watches it; the fleet goes on. */
  async unwatch(): Promise<void> {
    await this.#client?.end();
    await this.#probe?.stop();
    this.#client = null;
    this.#probe = null;
  }

  async stop(): Promise<void> {
    await this.unwatch();
    await this.cluster.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #databaseUrl(): Promise<string> {
    const secret = pick([...this.cluster.objects], "Secret", "fleet-ringfleet-postgresql");
    const password = Buffer.from(secret["data"]["postgres-password"], "base64").toString();
    const [postgres] = this.cluster.pods("postgresql");
    if (postgres === undefined) throw new Error("no Postgres");
    return `postgresql://postgres:${password}@${await this.cluster.address(postgres, 5432)}/ringfleet`;
  }
}
