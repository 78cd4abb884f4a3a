import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { debianPackage } from "../../harness/debian-package.js";
import { waitFor } from "../../harness/fleet.js";
import type { Manifest } from "../rendering.js";
import type { Cluster } from "./cluster.js";

const PORT = 9099;

interface RuleState {
  name: string;
  state: string;
  health: string;
  lastError?: string;
}

/** A real Prometheus among the pods. It scrapes whom the pods' annotations name, with the labels that the monitors set. */
export class Prometheus {
  readonly #child: ChildProcess;
  readonly #url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.#url = url;
  }

  static async start(cluster: Cluster, folder: string, rules: Manifest): Promise<Prometheus> {
    const own = join(folder, "prometheus");
    await mkdir(own, { recursive: true });
    const targets = cluster
      .pods()
      .filter(({ annotations }) => annotations["prometheus.io/scrape"] === "true")
      .map(({ ip, name, annotations }) => ({
        targets: [`${ip}:${annotations["prometheus.io/port"]}`],
        labels: {
          namespace: "work",
          fleet: "fleet-ringfleet",
          pod: name,
          __metrics_path__: annotations["prometheus.io/path"],
        },
      }));
    await writeFile(join(own, "rules.yaml"), stringify(rules));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules.yaml"],
      scrape_configs: [{ job_name: "pods", static_configs: targets }],
    };
    await writeFile(join(own, "prometheus.yaml"), stringify(config));
    const binary = join(await debianPackage("prometheus"), "usr", "bin", "prometheus");
    const child = cluster.network.spawnInside(binary, [
      `--config.file=${join(own, "prometheus.yaml")}`,
      `--storage.tsdb.path=${join(own, "data")}`,
      `--web.listen-address=${cluster.network.gateway}:${PORT}`,
    ]);
    child.stdout?.resume();
    const door = await cluster.network.open(cluster.network.gateway, PORT);
    return new Prometheus(child, `http://127.0.0.1:${door}`);
  }

  /** Resolves when so many targets are up and have been scraped twice. */
  async untilUp(targets: number): Promise<void> {
    await waitFor(
      `${targets} targets`,
      async () => (await this.query("count(count_over_time(up[30s]) >= 2 and up == 1)"))[0] === targets,
      30_000,
    );
  }

  /** Values of an instant query. */
  async query(expression: string): Promise<number[]> {
    const { result } = await this.#get<{ result: { value: [number, string] }[] }>(
      `query?query=${encodeURIComponent(expression)}`,
    );
    return result.map(({ value }) => Number(value[1]));
  }

  async ruleStates(): Promise<RuleState[]> {
    const evaluated = async () => {
      const { groups } = await this.#get<{ groups: { rules: RuleState[] }[] }>("rules");
      const rules = groups.flatMap((group) => group.rules);
      return rules.length > 0 && rules.every(({ health }) => health !== "unknown") && rules;
    };
    return await waitFor("the rules to be evaluated", evaluated, 30_000);
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    await once(this.#child, "exit");
  }

  async #get<Data>(path: string): Promise<Data> {
    const answer = await fetch(`${this.#url}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as { status: string; data: Data; error?: string };
    if (status !== "success") throw new Error(error);
    return data;
  }
}
