import pg from "pg";
import { type Fleet, type FleetProcess, waitFor } from "../harness/fleet.js";
import type { FleetTest } from "../harness/fleet-test.js";
import type { TestStores } from "../harness/stores.js";
import { TcpProxy } from "../harness/tcp-proxy.js";

const WORKERS = 4;
/** A small heap is full within a minute: what grows after that is a leak. */
const SMALL_HEAP = { NODE_OPTIONS: "--max-old-space-size=64 --max-semi-space-size=2" };

/** The fleet under soak: who it is made of at the moment, and the links between its parts. */
export class SoakFleet {
  readonly stores: TestStores;
  readonly redisLink: TcpProxy;
  readonly databaseLink: TcpProxy;
  workers: FleetProcess[] = [];
  controls: FleetProcess[] = [];
  #fleet: Fleet | null = null;
  #judge: pg.Client | null = null;
  #databaseUrl = "";
  #started = 0;
  #witnesses: { worker: FleetProcess; control: FleetProcess } | null = null;

  private constructor(stores: TestStores, redisLink: TcpProxy, databaseLink: TcpProxy) {
    this.stores = stores;
    this.redisLink = redisLink;
    this.databaseLink = databaseLink;
  }

  static async link(stores: TestStores): Promise<SoakFleet> {
    return new SoakFleet(
      stores,
      await TcpProxy.start(stores.redisUrl),
      await TcpProxy.start(stores.databaseUrl),
    );
  }

  async start({ fleet, databaseUrl }: FleetTest): Promise<void> {
    this.#fleet = fleet;
    this.#databaseUrl = databaseUrl;
    this.#witnesses = {
      control: fleet.controlPlane("witness", SMALL_HEAP),
      worker: fleet.worker("witness", SMALL_HEAP),
    };
    this.controls = [this.startControl(), this.startControl()];
    for (let worker = 0; worker < WORKERS; worker++) this.workers.push(this.startWorker());
    await this.connectJudge();
    await fleet.untilSeated(["witness", ...this.workers.map(({ name }) => name)], 30_000);
  }

  /** Every second worker sits behind the links. */
  startWorker(): FleetProcess {
    this.#started += 1;
    const linked = {
      DATABASE_URL: this.databaseLink.through(this.#databaseUrl),
      REDIS_URL: this.redisLink.through(this.stores.redisUrl),
    };
    return this.fleet.worker(`worker-${this.#started}`, this.#started % 2 === 0 ? linked : {});
  }

  startControl(): FleetProcess {
    this.#started += 1;
    return this.fleet.controlPlane(`control-${this.#started}`);
  }

  get fleet(): Fleet {
    if (this.#fleet === null) throw new Error("not started");
    return this.#fleet;
  }

  get witnessWorker(): FleetProcess {
    if (this.#witnesses === null) throw new Error("not started");
    return this.#witnesses.worker;
  }

  get witnessControl(): FleetProcess {
    if (this.#witnesses === null) throw new Error("not started");
    return this.#witnesses.control;
  }

  /** A connection past every link; a new one after Postgres was killed. */
  get judge(): pg.Client {
    if (this.#judge === null) throw new Error("not started");
    return this.#judge;
  }

  async connectJudge(): Promise<void> {
    await this.#judge?.end().catch(() => undefined);
    this.#judge = new pg.Client({ connectionString: this.#databaseUrl, application_name: "judge" });
    this.#judge.on("error", () => undefined);
    await this.#judge.connect();
  }

  /** Every row has been worked in the last 3 s: resolves with the newest tick (epoch ms). */
  async untilWorking(): Promise<number> {
    return await waitFor(
      "all rows to be worked again",
      async () => {
        const { rows } = await this.judge.query<{ tick: number; fresh: boolean }>(
          `SELECT (extract(epoch FROM max(lasttick)) * 1000)::float8 AS tick,
             min(lasttick) > clock_timestamp() - interval '3 seconds' AS fresh FROM work_items`,
        );
        return rows[0]?.fresh === true && rows[0].tick;
      },
      30_000,
    );
  }

  async close(): Promise<void> {
    await this.#judge?.end().catch(() => undefined);
    await this.redisLink.close();
    await this.databaseLink.close();
  }
}
