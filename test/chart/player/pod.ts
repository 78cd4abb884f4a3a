import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Manifest } from "../rendering.js";
import { Container, type Mount } from "./container.js";
import { environmentOf, type Lookup } from "./environment.js";
import type { Image } from "./images.js";
import type { Network, PodNetwork } from "./network.js";
import { probe } from "./probe.js";

export interface PodOptions {
  name: string;
  namespace: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  spec: Manifest;
  folder: string;
  /** Folders of persistent volumes by volume name. */
  claims: ReadonlyMap<string, string>;
  network: Network;
  imageOf: (reference: string) => Image;
  lookup: Lookup;
  onChange: () => void;
}

/** One pod, as a kubelet runs it. */
export class Pod {
  readonly #options: PodOptions;
  readonly #net: PodNetwork;
  readonly #volumes = new Map<string, string>();
  readonly containers = new Map<string, Container>();
  /** Of every container that has ended and was started again. */
  restarts = 0;
  phase: "Pending" | "Running" | "Succeeded" | "Failed" = "Pending";
  /** Names of the containers that are. */
  readonly #ready = new Set<string>();
  isTerminating = false;
  #running: Promise<void> = Promise.resolve();

  private constructor(options: PodOptions, net: PodNetwork) {
    this.#options = options;
    this.#net = net;
  }

  static async start(options: PodOptions): Promise<Pod> {
    const pod = new Pod(options, await options.network.addPod());
    await mkdir(options.folder, { recursive: true });
    await pod.#makeVolumes();
    pod.#running = pod.#run().catch((error: unknown) => {
      pod.phase = "Failed";
      pod.log.push(String(error));
    });
    return pod;
  }

  readonly log: string[] = [];

  get name(): string {
    return this.#options.name;
  }

  get labels(): Record<string, string> {
    return this.#options.labels;
  }

  get annotations(): Record<string, string> {
    return this.#options.annotations;
  }

  get isReady(): boolean {
    return (
      !this.isTerminating &&
      this.#options.spec["containers"].every(({ name }: Manifest) => this.#ready.has(name))
    );
  }

  get ip(): string {
    return this.#net.ip;
  }

  /** Pid of its first container's process 1. */
  get pid(): number | null {
    return [...this.containers.values()][0]?.pid ?? null;
  }

  /** What its containers have said, for a failed test. */
  get said(): string {
    const lines = [...this.containers.values()].flatMap(({ name, lines: said }) =>
      said.slice(-15).map((l) => `${name}: ${l}`),
    );
    return [`pod ${this.name} (${this.phase}, ${this.restarts} restarts)`, ...this.log, ...lines].join(
      "\n  ",
    );
  }

  /** Resolves when a pod that is meant to end has. */
  async ended(): Promise<void> {
    await this.#running;
  }

  /** preStop, SIGTERM, grace period, SIGKILL. */
  async terminate(): Promise<void> {
    this.isTerminating = true;
    this.#options.onChange();
    const graceMs = (this.#options.spec["terminationGracePeriodSeconds"] ?? 30) * 1000;
    const deadline = Date.now() + graceMs;
    await Promise.all(
      [...this.containers.values()].map(async (container) => {
        const spec = this.#options.spec["containers"].find(({ name }: Manifest) => name === container.name);
        const preStop = spec?.lifecycle?.preStop?.exec?.command as string[] | undefined;
        if (preStop !== undefined) await container.exec(preStop, deadline - Date.now());
        container.signal("SIGTERM");
        await Promise.race([
          container.exited,
          sleep(Math.max(1, deadline - Date.now()), null, { ref: false }),
        ]);
        if (!container.hasExited) this.log.push(`${container.name} outlived its grace period`);
        container.signal("SIGKILL");
        await container.exited;
      }),
    );
    await this.#running;
    await this.#net.remove();
  }

  async #run(): Promise<void> {
    const { spec, onChange } = this.#options;
    for (const init of spec["initContainers"] ?? []) {
      while (!this.isTerminating && (await this.#runOnce(init)) !== 0) {
        if (spec["restartPolicy"] === "Never") throw new Error(`init container ${init.name} failed`);
        this.restarts += 1;
        await sleep(500);
      }
    }
    if (this.isTerminating) return;
    this.phase = "Running";
    const codes = await Promise.all(
      spec["containers"].map((container: Manifest) => this.#keepRunning(container)),
    );
    this.phase = codes.every((code) => code === 0) ? "Succeeded" : "Failed";
    this.#ready.clear();
    onChange();
  }

  async #keepRunning(spec: Manifest): Promise<number | null> {
    for (;;) {
      const code = await this.#runOnce(spec);
      const policy = this.#options.spec["restartPolicy"] ?? "Always";
      if (this.isTerminating || policy === "Never" || (policy === "OnFailure" && code === 0)) return code;
      this.restarts += 1;
      this.log.push(`${spec["name"]} ended with code ${code}`);
      await sleep(500);
    }
  }

  async #runOnce(spec: Manifest): Promise<number | null> {
    const { folder, imageOf, lookup, network } = this.#options;
    const own = join(folder, `${spec["name"]}-${this.restarts}-${Math.random().toString(36).slice(2)}`);
    await mkdir(own, { recursive: true });
    const mounts: Mount[] = [
      { source: network.hostsFile, target: "/etc/hosts", readOnly: true },
      ...(spec["volumeMounts"] ?? []).map((mount: Manifest) => ({
        source: join(this.#volumes.get(mount["name"]) ?? "missing", mount["subPath"] ?? ""),
        target: mount["mountPath"],
        readOnly: mount["readOnly"] === true,
      })),
    ];
    const container = await Container.start({
      spec,
      podSecurity: this.#options.spec["securityContext"] ?? {},
      image: imageOf(spec["image"]),
      env: environmentOf(spec, lookup, { ...this.#options, ip: this.ip }),
      mounts,
      folder: own,
      networkPid: this.#net.pid,
    });
    this.containers.set(container.name, container);
    const isMain = this.#options.spec["containers"].includes(spec);
    if (isMain && (this.#options.spec["restartPolicy"] ?? "Always") === "Always")
      void this.#watch(spec, container);
    const code = await container.exited;
    if (this.containers.get(container.name) === container && !isMain) this.containers.delete(container.name);
    if (code !== 0 && !this.isTerminating) this.log.push(...container.lines.slice(-10));
    return code;
  }

  /** Startup probe, then liveness and readiness, until the container ends. */
  async #watch(spec: Manifest, container: Container): Promise<void> {
    const { network, onChange } = this.#options;
    const target = { container, spec, ip: this.ip, network };
    const isOver = () => container.hasExited || this.isTerminating;
    const setReady = (isReady: boolean) => {
      if (this.#ready.has(container.name) === isReady || this.isTerminating) return;
      if (isReady) this.#ready.add(container.name);
      else this.#ready.delete(container.name);
      onChange();
    };
    if (
      spec["startupProbe"] !== undefined &&
      !(await this.#untilStarted(spec["startupProbe"], target, isOver))
    ) {
      container.signal("SIGKILL");
      return;
    }
    const failing = async (check: Manifest) => {
      for (let failures = 0; !isOver(); ) {
        failures = (await probe(check, target)) ? 0 : failures + 1;
        if (failures >= (check["failureThreshold"] ?? 3)) return;
        await sleep((check["periodSeconds"] ?? 10) * 1000, null, { ref: false });
      }
    };
    if (spec["livenessProbe"] !== undefined) {
      void failing(spec["livenessProbe"]).then(() => {
        if (!isOver()) this.log.push(`${container.name} is not alive`);
        if (!isOver()) container.signal("SIGTERM");
      });
    }
    const readiness = spec["readinessProbe"] as Manifest | undefined;
    if (readiness === undefined) return setReady(true);
    for (let failures = 0; !isOver(); ) {
      const isWell = await probe(readiness, target);
      failures = isWell ? 0 : failures + 1;
      if (isWell) setReady(true);
      if (failures >= (readiness["failureThreshold"] ?? 3)) setReady(false);
      await sleep((readiness["periodSeconds"] ?? 10) * 1000, null, { ref: false });
    }
    setReady(false);
  }

  async #untilStarted(
    check: Manifest,
    target: Parameters<typeof probe>[1],
    isOver: () => boolean,
  ): Promise<boolean> {
    for (let failures = 0; !isOver(); failures++) {
      if (await probe(check, target)) return true;
      if (failures >= (check["failureThreshold"] ?? 3)) return false;
      await sleep((check["periodSeconds"] ?? 10) * 1000, null, { ref: false });
    }
    return true;
  }

  async #makeVolumes(): Promise<void> {
    const { spec, folder, lookup, claims } = this.#options;
    const group: number = spec["securityContext"]?.fsGroup ?? 0;
    for (const volume of spec["volumes"] ?? []) {
      const path = join(folder, "volumes", volume.name);
      this.#volumes.set(volume.name, path);
      await mkdir(path, { recursive: true });
      if (volume.emptyDir !== undefined) await chmod(path, 0o777);
      const files: Record<string, string> | null =
        volume.configMap !== undefined
          ? lookup.configMap(volume.configMap.name)
          : volume.secret !== undefined
            ? lookup.secret(volume.secret.secretName)
            : null;
      if (files === null) continue;
      const items: { key: string; path: string }[] =
        (volume.configMap ?? volume.secret).items ?? Object.keys(files).map((key) => ({ key, path: key }));
      for (const { key, path: file } of items) {
        if (files[key] === undefined) throw new Error(`volume ${volume.name} of ${this.name}: no key ${key}`);
        const mode: number = (volume.configMap ?? volume.secret).defaultMode ?? 0o644;
        await writeFile(join(path, file), files[key]);
        await chmod(join(path, file), mode | 0o040);
        await chown(join(path, file), 0, group);
      }
    }
    for (const [name, path] of claims) {
      this.#volumes.set(name, path);
      await mkdir(path, { recursive: true });
      await chown(path, 0, group);
      await chmod(path, 0o2775);
    }
  }
}
