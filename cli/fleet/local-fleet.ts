import type { LogView } from "./log-view.js";
import { ManagedProcess } from "./managed-process.js";

/** Everything of a worker or replica that drains longer than this is ended at once. */
const DRAIN_MS = 3500;

export interface LocalFleetOptions {
  /** Environment of every process: the stores, the token. */
  env: Record<string, string>;
  view: LogView;
  /** A process can't run at all (bad setting, unknown schema): `up` ends. */
  onHopeless: (name: string, how: string) => void;
  onChange: () => void;
}

/** The processes of a fleet on this machine. */
export class LocalFleet {
  readonly #options: LocalFleetOptions;
  readonly #controlPlanes: ManagedProcess[] = [];
  readonly #workers = new Map<number, ManagedProcess>();
  #stopped = false;

  constructor(options: LocalFleetOptions) {
    this.#options = options;
  }

  /** The first replica listens on `port`, the others on any free one. */
  startControlPlanes(count: number, port: number): void {
    for (let index = 0; index < count; index++) {
      const name = `control-${index + 1}`;
      const env = { REPLICA_NAME: name, PORT: index === 0 ? String(port) : "0" };
      const replica = this.#make(name, "control-plane/main.js", env);
      this.#controlPlanes.push(replica);
      replica.start();
    }
  }

  get workerNames(): string[] {
    return [...this.#workers.values()].map((worker) => worker.name);
  }

  /** URLs of the control planes that listen. */
  get controlPlaneUrls(): string[] {
    return this.#controlPlanes.map((replica) => replica.url).filter((url): url is string => url !== null);
  }

  /** Starts or stops workers until there are `count`; the others aren't touched. Resolves when leavers have left. */
  async scale(count: number): Promise<void> {
    if (this.#stopped) return;
    for (let number = 1; number <= count; number++) {
      if (this.#workers.has(number)) continue;
      const name = `worker-${number}`;
      const worker = this.#make(name, "worker/main.js", { WORKER_NAME: name, PORT: "0" });
      this.#workers.set(number, worker);
      worker.start();
    }
    const leavers = [...this.#workers].filter(([number]) => number > count);
    await Promise.all(
      leavers.map(async ([number, worker]) => {
        this.#workers.delete(number);
        await worker.stop(30_000);
      }),
    );
    this.#options.onChange();
  }

  /** Workers hand over and end, then the control planes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop(DRAIN_MS)));
    await Promise.all(this.#controlPlanes.map((replica) => replica.stop(1000)));
  }

  /** Ends everybody at once. */
  kill(): void {
    this.#stopped = true;
    for (const child of [...this.#workers.values(), ...this.#controlPlanes]) child.kill();
  }

  #make(name: string, script: string, env: Record<string, string>): ManagedProcess {
    const { view, onHopeless, onChange } = this.#options;
    return new ManagedProcess({
      name,
      script,
      env: { ...this.#options.env, ...env },
      onLine: (line) => {
        view.line(name, line);
        if (line.includes('"msg":"listening on ')) onChange();
      },
      onExit: (how, restartMs) => {
        if (restartMs === null) onHopeless(name, how);
        else view.say(`${name} ${how}: starting it again in ${restartMs / 1000} s`, "warn");
      },
    });
  }
}
