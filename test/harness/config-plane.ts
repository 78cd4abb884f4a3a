import { expect } from "vitest";
import { type Answer, ConfigApi, TOKEN } from "./config-api.js";
import { Fleet, waitFor } from "./fleet.js";
import { prepareDatabase } from "./fleet-test.js";
import { startTestStores, type TestStores } from "./stores.js";

/** A refusal as application/problem+json has it. */
export interface Refusal {
  status: number;
  title: string;
  code: string;
  detail: unknown;
  problems?: readonly string[];
  [extra: string]: unknown;
}

/** 400 or 422 with a line for each thing that is wrong. */
export function refusal(code: "bad_request" | "invalid_config", ...problems: string[]): Refusal {
  const kind =
    code === "bad_request" ? { status: 400, title: "Bad request" } : { status: 422, title: "Invalid config" };
  return { ...kind, code, detail: problems.join("; "), problems };
}

/** Two real replicas without workers: what changes configs, and all that a change would leave. */
export class ConfigPlane {
  readonly fleet: Fleet;
  readonly apis: readonly [ConfigApi, ConfigApi];
  readonly #stores: TestStores;

  private constructor(stores: TestStores, fleet: Fleet, apis: readonly [ConfigApi, ConfigApi]) {
    this.#stores = stores;
    this.fleet = fleet;
    this.apis = apis;
  }

  static async start(env: Record<string, string> = {}): Promise<ConfigPlane> {
    const stores = await startTestStores();
    const databaseUrl = await prepareDatabase(stores);
    const fleet = new Fleet({ databaseUrl, redisUrl: stores.redisUrl, env: { API_TOKEN: TOKEN, ...env } });
    await fleet.client.connect();
    const [one, other] = [fleet.controlPlane("control-1"), fleet.controlPlane("control-2")];
    const ready = async (replica: typeof one) => {
      const url = await replica.url();
      await waitFor("a ready replica", async () => (await fetch(`${url}/readyz`)).ok, 10_000, replica);
      return new ConfigApi(url);
    };
    return new ConfigPlane(stores, fleet, [await ready(one), await ready(other)]);
  }

  get api(): ConfigApi {
    return this.apis[0];
  }

  /** What rules, what is to come, every version, and every webhook message that was taken. */
  async state(): Promise<unknown> {
    const { current, upcoming, highest } = (await this.api.get("/v1/config")).body;
    const versions = await this.fleet.client.query(
      "SELECT * FROM versions WHERE kind = 'config' ORDER BY version",
    );
    const deliveries = await this.fleet.client.query("SELECT * FROM webhook_deliveries ORDER BY id");
    return { current, upcoming, highest, versions: versions.rows, deliveries: deliveries.rows };
  }

  /** The answer is exactly this refusal, and nothing was changed. */
  async expectRefused(request: () => Promise<Answer>, refused: Refusal): Promise<Answer> {
    const before = await this.state();
    const answer = await request();
    expect(answer.body).toEqual({ type: "about:blank", ...refused });
    expect(answer.status).toBe(refused.status);
    expect(answer.headers.get("content-type")).toBe("application/problem+json; charset=utf-8");
    expect(await this.state()).toEqual(before);
    return answer;
  }

  async close(): Promise<void> {
    await this.fleet.close();
    await this.#stores.close();
  }
}
