import { expect, it } from "vitest";
import { type Manifest, pick, render, valueMatrix } from "../../chart/rendering.js";

/** But the generated passwords, which are new at each rendering without a cluster. */
function withoutSecrets(manifests: Manifest[]): Manifest[] {
  return manifests.filter(({ kind }) => kind !== "Secret");
}

it.each(valueMatrix())(
  "a scale upgrade of $name changes the replica count, and the test pod's, alone",
  ({ path }) => {
    const [few, many] = [3, 50].map((count) =>
      withoutSecrets(render(["-f", path, "--set", `worker.replicaCount=${count}`])),
    ) as [Manifest[], Manifest[]];
    const changed = few.filter((each, index) => JSON.stringify(each) !== JSON.stringify(many[index]));
    for (const { kind, metadata } of changed) {
      expect([
        "Deployment/fleet-ringfleet-worker",
        "StatefulSet/fleet-ringfleet-worker",
        "Pod/fleet-ringfleet-test",
      ]).toContain(`${kind}/${metadata.name}`);
    }
    expect(many).toHaveLength(few.length);
    const [before, after] = [few, many].map((all) =>
      all.find(({ metadata }) => metadata.name === "fleet-ringfleet-worker" && metadata),
    ) as [Manifest, Manifest];
    expect(before["kind"]).toBe(after["kind"]);
    for (const [index, each] of few.entries()) {
      expect(many[index]?.["spec"]?.template).toEqual(each["spec"]?.template);
    }
  },
);

it("a scale upgrade makes no Job; another image or initial config does", () => {
  const jobName = (...args: string[]) =>
    render(args.flatMap((value) => ["--set", value])).find(({ kind }) => kind === "Job")?.["metadata"].name;
  const name = jobName();
  expect(name).toMatch(/^fleet-ringfleet-migrate-[0-9a-f]{8}$/);
  expect(jobName("worker.replicaCount=50", "controlPlane.replicaCount=3", "worker.weight=2")).toBe(name);
  expect(jobName("controlPlane.image.tag=2.0.0")).not.toBe(name);
  expect(jobName("config.initial.tickMs=5000")).not.toBe(name);
});

it("a changed setting restarts whom it concerns, and nobody else", () => {
  const templates = (value: string) => {
    const manifests = render(["--set", value]);
    return ["control-plane", "worker"].map((name) =>
      JSON.stringify(pick(manifests, "Deployment", `fleet-ringfleet-${name}`)["spec"].template),
    );
  };
  const [controlPlane, worker] = templates("worker.weight=1");
  expect(templates("worker.weight=2")[0]).toBe(controlPlane);
  expect(templates("worker.weight=2")[1]).not.toBe(worker);
  expect(templates("controlPlane.deadAfterMs=3000")[0]).not.toBe(controlPlane);
  expect(templates("controlPlane.deadAfterMs=3000")[1]).toBe(worker);
});

it("leaves the replica count to the autoscalers", () => {
  for (const scaler of [
    ["autoscaling.enabled=true"],
    ["keda.enabled=true", "keda.rowsPerWorker=10", "keda.prometheusAddress=http://p"],
  ]) {
    const manifests = render(scaler.flatMap((value) => ["--set", value]));
    expect(pick(manifests, "Deployment", "fleet-ringfleet-worker")["spec"]).not.toHaveProperty("replicas");
  }
});

it("rolls out by surge, and tells a worker its revision by its template's hash", () => {
  const { spec } = pick(render(), "Deployment", "fleet-ringfleet-worker");
  expect(spec.strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 });
  const revision = (env: Manifest[]) =>
    env.find(({ name }) => name === "WORKER_REVISION")?.["valueFrom"].fieldRef.fieldPath;
  expect(revision(spec.template.spec.containers[0].env)).toBe("metadata.labels['pod-template-hash']");
  const set = pick(render(["--set", "worker.kind=StatefulSet"]), "StatefulSet", "fleet-ringfleet-worker");
  expect(revision(set["spec"].template.spec.containers[0].env)).toBe(
    "metadata.labels['controller-revision-hash']",
  );
});
