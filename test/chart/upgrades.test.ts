import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { type ClusterStub, startClusterStub } from "./cluster-stub.js";
import { helmBinary } from "./helm-binary.js";
import { CHART, type Manifest } from "./rendering.js";

let folder: string;
let cluster: ClusterStub;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ringfleet-chart-"));
  cluster = await startClusterStub();
  writeFileSync(join(folder, "kubeconfig"), cluster.kubeconfig);
});

afterEach(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What helm would send to the cluster, looking up what is there. Not sync: the cluster lives in this process. */
async function upgrade(...values: string[]): Promise<Manifest[]> {
  const args = ["template", "fleet", CHART, "--namespace", "work", "--is-upgrade", "--dry-run=server"];
  const { stdout } = await promisify(execFile)(
    helmBinary(),
    [...args, "--disable-openapi-validation", ...values.flatMap((value) => ["--set", value])],
    { env: { ...process.env, KUBECONFIG: join(folder, "kubeconfig") }, maxBuffer: 10_000_000 },
  );
  return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
}

function secretsOf(manifests: Manifest[]): Record<string, Record<string, string>> {
  const secrets = manifests.filter(({ kind }) => kind === "Secret");
  return Object.fromEntries(secrets.map(({ metadata, data }) => [metadata.name, data]));
}

describe("generated passwords", () => {
  it("are new at each install, and survive every upgrade", async () => {
    const first = await upgrade();
    expect(secretsOf(await upgrade())).not.toEqual(secretsOf(first));
    cluster.objects.push(...first.filter(({ kind }) => kind === "Secret"));
    expect(Object.keys(secretsOf(first)).sort()).toEqual([
      "fleet-ringfleet-api",
      "fleet-ringfleet-postgresql",
      "fleet-ringfleet-redis",
    ]);
    expect(secretsOf(await upgrade("worker.replicaCount=7"))).toEqual(secretsOf(first));
  });

  it("give way to one that is set, alone", async () => {
    const first = await upgrade();
    cluster.objects.push(...first.filter(({ kind }) => kind === "Secret"));
    const changed = secretsOf(await upgrade("api.token=a-token-of-my-own"));
    expect(Buffer.from(changed["fleet-ringfleet-api"]?.["token"] ?? "", "base64").toString()).toBe(
      "a-token-of-my-own",
    );
    expect(changed["fleet-ringfleet-postgresql"]).toEqual(secretsOf(first)["fleet-ringfleet-postgresql"]);
  });
});

it("an autoscaler that is switched on finds the count in force, not the 1 that Kubernetes makes of none", async () => {
  const workerOf = (manifests: Manifest[]) =>
    manifests.find(
      ({ kind, metadata }) => kind === "Deployment" && /-worker$/.test(metadata.name),
    ) as Manifest;
  const worker = workerOf(await upgrade());
  cluster.objects.push({ ...worker, spec: { ...worker["spec"], replicas: 7 } });
  expect(workerOf(await upgrade("autoscaling.enabled=true"))["spec"].replicas).toBe(7);
  expect(workerOf(await upgrade("worker.replicaCount=5"))["spec"].replicas).toBe(5);
});

describe("the migration hook", () => {
  const HOOK = [
    "postgresql.enabled=false",
    "externalPostgresql.host=db",
    "externalPostgresql.password=secret",
    "migrations.mode=hook",
  ];
  const jobOf = (manifests: Manifest[]) => manifests.find(({ kind }) => kind === "Job");

  it("runs at install, not at a pure scale-up, and again for another image", async () => {
    const job = jobOf(await upgrade(...HOOK)) as Manifest;
    expect(job["metadata"].name).toBe("fleet-ringfleet-migrate");
    cluster.objects.push({ ...job, status: { succeeded: 1 } });
    const scaled = await upgrade(...HOOK, "worker.replicaCount=50");
    expect(jobOf(scaled)).toBeUndefined();
    expect(scaled.filter(({ metadata }) => metadata.name === "fleet-ringfleet-migrate")).toEqual([]);
    expect(jobOf(await upgrade(...HOOK, "controlPlane.image.tag=2.0.0"))).toBeDefined();
  });

  it("runs again where it has not succeeded", async () => {
    const job = jobOf(await upgrade(...HOOK)) as Manifest;
    cluster.objects.push({ ...job, status: { failed: 1 } });
    expect(jobOf(await upgrade(...HOOK))).toBeDefined();
  });
});
