import type { LogView } from "./log-view.js";
import { ManagedProcess, type ProcessEnd } from "./managed-process.js";

/** At the end of `up`, whoever drains longer than this is ended at once. */
const LAST_DRAIN_MS = 3500;
/** In a scale-down there is time to hand over. */
const LEAVE_MS = 30_000;
const CONTROL_PLANE_STOP_MS = 1000;
/** Exit code of a worker whose name another process has taken over. */
const SUPERSEDED = 4;

export interface LocalFleetOptions {
  /** Environment that the processes share: the stores, the token. */
  env: NodeJS.ProcessEnv;
  view: LogView;
  /** A process can't run at all (bad setting, unknown schema): `up` ends with its exit code. */
  onHopeless: (exitCode: number) => void;
  /** Somebody listens on a new address. */
  onChange: () => void;
}

/** The processes of a fleet on this machine. */
export class LocalFleet {
  readonly #options: LocalFleetOptions;
  readonly #controlPlanes: ManagedProcess[] = [];
  readonly #workers = new Map<number, ManagedProcess>();
  /** Told to leave, not gone yet. */
  readonly #leavers = new Set<ManagedProcess>();
  #scaling: Promise<void> = Promise.resolve();
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

  /**
   * Starts or stops workers until there are `count`; the others aren't touched. Resolves when leavers have left.
   * One call after the other: a leaver's name is free only once it is gone.
   */
  async scale(count: number): Promise<void> {
    const turn = this.#scaling.then(() => this.#scaleNow(count));
    this.#scaling = turn.catch(() => undefined);
    await turn;
  }

  async #scaleNow(count: number): Promise<void> {
    if (this.#stopped) return;
    for (let number = 1; number <= count; number++) {
      if (this.#workers.has(number)) continue;
      const name = `worker-${number}`;
      const worker = this.#make(name, "worker/main.js", { WORKER_NAME: name, PORT: "0" });
      this.#workers.set(number, worker);
      worker.start();
    }
    const surplus = [...this.#workers].filter(([number]) => number > count);
    await Promise.all(surplus.map(([number, worker]) => this.#leave(number, worker)));
  }

  async #leave(number: number, worker: ManagedProcess): Promise<void> {
    this.#workers.delete(number);
    this.#leavers.add(worker);
    await worker.stop(LEAVE_MS);
    this.#leavers.delete(worker);
  }

  /** Workers hand over and end, then the control planes. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#allWorkers().map((worker) => worker.stop(LAST_DRAIN_MS)));
    await Promise.all(this.#controlPlanes.map((replica) => replica.stop(CONTROL_PLANE_STOP_MS)));
  }

  /** Ends everybody at once. */
  kill(): void {
    this.#stopped = true;
    for (const child of [...this.#allWorkers(), ...this.#controlPlanes]) child.kill();
  }

  #allWorkers(): ManagedProcess[] {
    return [...this.#workers.values(), ...this.#leavers];
  }

  #make(name: string, script: string, env: Record<string, string>): ManagedProcess {
    const { view, onChange } = this.#options;
    return new ManagedProcess({
      name,
      script,
      env: { ...this.#options.env, ...env },
      onLine: (line) => {
        view.line(name, line);
        if (line.includes('"msg":"listening on ')) onChange();
      },
      onExit: (end) => this.#onExit(name, end),
    });
  }

  #onExit(name: string, { how, code, restartMs }: ProcessEnd): void {
    const { view, onHopeless } = this.#options;
    if (restartMs !== null) {
      view.say(`${name} ${how}: starting it again in ${restartMs / 1000} s`, "warn");
    } else if (code === SUPERSEDED) {
      view.say(`${name} ${how}: another process goes on under its name, it isn't started again`, "warn");
    } else if (!this.#stopped) {
      // The first to say so speaks for all: they share the setting or the schema at fault.
      this.#stopped = true;
      view.say(`${name} ${how}: the fleet can't run like this, everything is stopped`, "error");
      onHopeless(code ?? 1);
    }
  }
}
