import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../rendering.js";
import { type Image, prepareImages } from "./images.js";
import { Network } from "./network.js";
import { Pod } from "./pod.js";

const NAMESPACE = "work";
const DOMAIN = "cluster.local";

/** `names`: those of its pods, also of such as are only being made. */
type Workload = { object: Manifest; pods: Pod[]; names: Set<string>; rollout: Promise<void> };

/**
 * Takes rendered manifests and does with them what controllers and kubelets do, with real processes: Deployments
 * with rolling updates by surge, StatefulSets, Jobs, Services as names, Secrets and ConfigMaps, pods with probes.
 */
export class Cluster {
  readonly #folder: string;
  readonly network: Network;
  readonly #imageOf: (reference: string) => Image;
  #objects: Manifest[] = [];
  readonly #workloads = new Map<string, Workload>();
  #podNumber = 0;
  #naming: Promise<void> = Promise.resolve();

  private constructor(folder: string, network: Network, imageOf: (reference: string) => Image) {
    this.#folder = folder;
    this.network = network;
    this.#imageOf = imageOf;
  }

  /** `folder` must be reachable by every user. */
  static async start(folder: string): Promise<Cluster> {
    const imageOf = await prepareImages(join(folder, "images"));
    return new Cluster(folder, await Network.start(folder), imageOf);
  }

  /** What stands in the cluster. */
  get objects(): readonly Manifest[] {
    return this.#objects;
  }

  /** Pods of a component (`worker`, `control-plane`, …) that aren't on their way out, oldest first. */
  pods(component?: string): Pod[] {
    return [...this.#workloads.values()]
      .flatMap(({ pods }) => pods)
      .filter((pod) => !pod.isTerminating)
      .filter(({ labels }) => component === undefined || labels["app.kubernetes.io/component"] === component);
  }

  /** Makes the cluster as these manifests say; hooks are left alone. Resolves once the roll-outs have begun. */
  async apply(manifests: readonly Manifest[]): Promise<void> {
    const wanted = manifests.filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined);
    this.#objects = [...wanted];
    const keys = new Set(wanted.map(keyOf));
    for (const [key, workload] of this.#workloads) {
      if (!keys.has(key)) this.#next(workload, () => this.#scale(workload, 0));
    }
    for (const object of wanted) {
      if (!["Deployment", "StatefulSet", "Job"].includes(object["kind"])) continue;
      const key = keyOf(object);
      const workload = this.#workloads.get(key) ?? {
        object,
        pods: [],
        names: new Set<string>(),
        rollout: Promise.resolve(),
      };
      this.#workloads.set(key, workload);
      workload.object = object;
      this.#next(workload, () => this.#reconcile(workload));
    }
  }

  /** As `helm upgrade --wait`: every roll-out is through, every Job has succeeded, every pod is ready. */
  async settled(): Promise<void> {
    await Promise.all([...this.#workloads.values()].map(({ rollout }) => rollout));
  }

  /** Runs a pod that is a hook until it ends. */
  async runHook(pod: Manifest): Promise<Pod> {
    const running = await this.#startPod(pod["metadata"].name, pod["metadata"], pod["spec"], new Map());
    await running.ended();
    await running.terminate();
    return running;
  }

  /** A loopback URL of a pod's port. */
  async address(pod: Pod, port: number): Promise<string> {
    return `127.0.0.1:${await this.network.open(pod.ip, port)}`;
  }

  async stop(): Promise<void> {
    await this.apply([]);
    await this.settled();
    await this.network.stop();
  }

  get said(): string {
    return [...this.#workloads.values()].flatMap(({ pods }) => pods.map((pod) => pod.said)).join("\n");
  }

  #next(workload: Workload, step: () => Promise<void>): void {
    workload.rollout = workload.rollout.catch(() => undefined).then(step);
    // Whoever waits for `settled` hears of it.
    workload.rollout.catch(() => undefined);
  }

  async #reconcile(workload: Workload): Promise<void> {
    const { kind, spec } = workload.object as { kind: string; spec: Manifest };
    if (kind === "Job") return await this.#runJob(workload);
    const revision = templateHash(spec["template"]);
    const replicas: number = spec["replicas"] ?? 1;
    const isOld = (pod: Pod) => pod.labels["pod-template-hash"] !== revision;
    if (kind === "StatefulSet") {
      for (const pod of workload.pods.filter(isOld).reverse()) {
        await this.#remove(workload, pod);
        await untilReady(await this.#add(workload, revision));
      }
    } else {
      // maxSurge 1, maxUnavailable 0: a new one is ready before an old one goes.
      if (
        spec["strategy"].rollingUpdate.maxSurge !== 1 ||
        spec["strategy"].rollingUpdate.maxUnavailable !== 0
      ) {
        throw new Error("only maxSurge 1 and maxUnavailable 0 are played");
      }
      for (;;) {
        // Those on their way out count no more, however long they take.
        const standing = workload.pods.filter((pod) => !pod.isTerminating);
        const old = standing.find(isOld);
        if (old === undefined) break;
        if (standing.length <= replicas) await untilReady(await this.#add(workload, revision));
        // The controller doesn't wait for its end before it goes on.
        void this.#remove(workload, old);
      }
    }
    await this.#scale(workload, replicas, revision);
    await Promise.all(workload.pods.filter((pod) => !pod.isTerminating).map(untilReady));
  }

  async #scale(workload: Workload, replicas: number, revision = ""): Promise<void> {
    const standing = () => workload.pods.filter((pod) => !pod.isTerminating);
    const byOrdinal = standing().sort((a, b) => ordinalOf(a.name) - ordinalOf(b.name));
    const surplus = byOrdinal.slice(replicas);
    await Promise.all(surplus.map((pod) => this.#remove(workload, pod)));
    const missing = Math.max(0, replicas - standing().length);
    const { kind, spec } = workload.object as { kind: string; spec: Manifest };
    if (kind === "StatefulSet" && spec["podManagementPolicy"] !== "Parallel") {
      for (let added = 0; added < missing; added += 1) await untilReady(await this.#add(workload, revision));
    } else {
      await Promise.all(Array.from({ length: missing }, () => this.#add(workload, revision)));
    }
    if (replicas > 0) return;
    // Also those who were on their way out already.
    while (workload.pods.length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async #runJob(workload: Workload): Promise<void> {
    if (workload.pods.length > 0) return;
    const pod = await this.#add(workload, "");
    await pod.ended();
    if (pod.phase !== "Succeeded") throw new Error(`the Job failed\n${pod.said}`);
  }

  async #add(workload: Workload, revision: string): Promise<Pod> {
    const { kind, metadata, spec } = workload.object as { kind: string; metadata: Manifest; spec: Manifest };
    const { names } = workload;
    const ordinals = Array.from({ length: names.size + 1 }, (_, ordinal) => `${metadata["name"]}-${ordinal}`);
    this.#podNumber += 1;
    const name =
      kind === "StatefulSet"
        ? (ordinals.find((candidate) => !names.has(candidate)) ?? "none")
        : `${metadata["name"]}-${revision || "job"}-${this.#podNumber.toString(36).padStart(5, "x")}`;
    names.add(name);
    const claims = new Map<string, string>(
      (spec["volumeClaimTemplates"] ?? []).map((claim: Manifest) => [
        claim["metadata"].name,
        join(this.#folder, "claims", `${claim["metadata"].name}-${name}`),
      ]),
    );
    const template = structuredClone(spec["template"]);
    template.metadata.labels["pod-template-hash"] = revision;
    const pod = await this.#startPod(name, template.metadata, template.spec, claims);
    workload.pods.push(pod);
    void this.#name();
    return pod;
  }

  async #startPod(
    name: string,
    metadata: Manifest,
    spec: Manifest,
    claims: Map<string, string>,
  ): Promise<Pod> {
    const folder = join(this.#folder, "pods", `${name}-${this.#podNumber}`);
    await mkdir(folder, { recursive: true });
    return await Pod.start({
      name,
      namespace: NAMESPACE,
      labels: metadata["labels"] ?? {},
      annotations: metadata["annotations"] ?? {},
      spec,
      folder,
      claims,
      network: this.network,
      imageOf: this.#imageOf,
      lookup: {
        configMap: (wanted) => this.#object("ConfigMap", wanted)["data"],
        secret: (wanted) => decoded(this.#object("Secret", wanted)),
      },
      onChange: () => void this.#name(),
    });
  }

  async #remove(workload: Workload, pod: Pod): Promise<void> {
    await pod.terminate();
    workload.pods = workload.pods.filter((other) => other !== pod);
    workload.names.delete(pod.name);
    await this.#name();
  }

  #object(kind: string, name: string): Manifest {
    const found = this.#objects.find((object) => object["kind"] === kind && object["metadata"].name === name);
    if (found === undefined) throw new Error(`the cluster has no ${kind} ${name}`);
    return found;
  }

  /** Services as names of their ready pods. Written one after the other. */
  #name(): Promise<void> {
    this.#naming = this.#naming.then(() => {
      const names = new Map<string, string[]>();
      for (const service of this.#objects.filter(({ kind }) => kind === "Service")) {
        const { selector, publishNotReadyAddresses, ports } = service["spec"];
        const behind = this.pods().filter(
          (pod) =>
            Object.entries(selector).every(([label, value]) => pod.labels[label] === value) &&
            (pod.isReady || publishNotReadyAddresses === true),
        );
        for (const port of ports) if (port.port === undefined) throw new Error("a Service without a port");
        const name: string = service["metadata"].name;
        const ips = behind.map(({ ip }) => ip);
        for (const suffix of ["", `.${NAMESPACE}`, `.${NAMESPACE}.svc`, `.${NAMESPACE}.svc.${DOMAIN}`]) {
          names.set(name + suffix, ips);
          for (const pod of behind) names.set(`${pod.name}.${name}${suffix}`, [pod.ip]);
        }
      }
      return this.network.setNames(names);
    });
    return this.#naming;
  }
}

async function untilReady(pod: Pod): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!pod.isReady && !pod.isTerminating) {
    if (Date.now() > deadline || pod.phase === "Failed") throw new Error(`not ready\n${pod.said}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Of a StatefulSet's pod; other pods stay in the order in which they were made. */
function ordinalOf(name: string): number {
  return Number(/-(\d+)$/.exec(name)?.[1] ?? 0);
}

function keyOf(object: Manifest): string {
  return `${object["kind"]}/${object["metadata"].name}`;
}

/** A pod template's hash, as the Deployment controller labels its pods with. */
function templateHash(template: Manifest): string {
  return createHash("sha256").update(JSON.stringify(template)).digest("hex").slice(0, 10);
}

function decoded(secret: Manifest): Record<string, string> {
  const data = Object.entries(secret["data"] ?? {}) as [string, string][];
  const plain = Object.fromEntries(
    data.map(([key, value]) => [key, Buffer.from(value, "base64").toString()]),
  );
  return { ...plain, ...secret["stringData"] };
}
