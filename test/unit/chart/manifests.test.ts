import { describe, expect, it } from "vitest";
import { schemaProblems } from "../../chart/kubernetes-schema.js";
import { CHART, helm, type Manifest, podSpecs, render, valueMatrix } from "../../chart/rendering.js";

/** Rendered once each: what the tests below look at. */
const MATRIX: [string, Manifest[]][] = valueMatrix().map(({ name, path }) => [name, render(["-f", path])]);

describe("schemaProblems", () => {
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "x", labels: { anything: "goes" } },
    spec: {
      selector: { matchLabels: { a: "b" } },
      template: { spec: { containers: [{ name: "x", resources: { limits: { memory: "1Gi" } } }] } },
    },
  };

  it("finds nothing in a good manifest", () => {
    expect(schemaProblems(deployment)).toEqual([]);
  });

  it("finds a wrong type and a field that Kubernetes doesn't know", () => {
    expect(schemaProblems({ ...deployment, spec: { ...deployment.spec, replicas: "3" } })).not.toEqual([]);
    expect(schemaProblems({ ...deployment, spec: { ...deployment.spec, replica: 3 } })).toEqual([
      "spec.replica is unknown",
    ]);
    const deep = structuredClone(deployment);
    Object.assign(deep.spec.template.spec.containers[0] ?? {}, { readinessProbe: { httpGett: { port: 1 } } });
    expect(schemaProblems(deep)).toEqual([
      "spec.template.spec.containers.0.readinessProbe.httpGett is unknown",
    ]);
  });
});

it("helm lint --strict finds nothing", () => {
  const { ok, stdout, stderr } = helm(["lint", "--strict", CHART]);
  expect(ok, stdout + stderr).toBe(true);
});

describe.each(MATRIX)("values %s", (_name, manifests) => {
  it("pass Kubernetes' schemas, without unknown fields", () => {
    const problems = manifests.flatMap((each) =>
      (schemaProblems(each) ?? []).map((problem) => `${each["kind"]}/${each["metadata"].name}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  it("give every object a name of its own that fits, and the common labels", () => {
    const names = manifests.map((each) => `${each["kind"]}/${each["metadata"].name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { kind, metadata } of manifests) {
      expect(metadata.name.length).toBeLessThanOrEqual(kind === "StatefulSet" ? 52 : 63);
      if (metadata.name.startsWith("fleet-ringfleet")) {
        expect(metadata.labels).toMatchObject({
          "app.kubernetes.io/instance": "fleet",
          "app.kubernetes.io/part-of": "ringfleet",
        });
      }
    }
  });

  it("select by labels that no upgrade changes", () => {
    for (const { kind, spec } of manifests) {
      if (!["Deployment", "StatefulSet"].includes(kind)) continue;
      expect(Object.keys(spec.selector.matchLabels).sort()).toEqual([
        "app.kubernetes.io/component",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/name",
      ]);
      expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
      expect(spec.template.metadata.labels).not.toHaveProperty(["helm.sh/chart"]);
    }
  });

  it("pass Pod Security restricted, with a read-only root and no token", () => {
    for (const [label, spec] of podSpecs(manifests)) {
      expect(spec["automountServiceAccountToken"], label).toBe(false);
      expect(spec["securityContext"], label).toMatchObject({
        runAsNonRoot: true,
        runAsUser: expect.any(Number),
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(spec["securityContext"].runAsUser, label).toBeGreaterThan(0);
      expect([spec["hostNetwork"], spec["hostPID"], spec["hostIPC"]], label).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
      for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
        expect(container.securityContext, label).toMatchObject({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
        expect(container.resources.requests.memory, label).toBeDefined();
        expect(container.resources.limits.memory, label).toBeDefined();
      }
      for (const volume of spec["volumes"]) expect(volume, label).not.toHaveProperty("hostPath");
    }
  });

  it("grant no rights", () => {
    expect(manifests.filter(({ kind }) => /Role/.test(kind))).toEqual([]);
  });

  it("refer to Secrets, ConfigMaps and ServiceAccounts that are there, or that the values name", () => {
    const own = new Set(manifests.map((each) => `${each["kind"]}/${each["metadata"].name}`));
    for (const [label, spec] of podSpecs(manifests)) {
      for (const [kind, name] of references(spec)) {
        if (name.startsWith("fleet-ringfleet") && !/-pg-(app|ca)$/.test(name)) {
          expect(own, label).toContain(`${kind}/${name}`);
        }
      }
    }
  });

  it("mount only volumes that the pod has", () => {
    for (const [label, spec] of podSpecs(manifests)) {
      const set = manifests.find((each) => `${each["kind"]}/${each["metadata"].name}` === label);
      const claims: Manifest[] = set?.["spec"].volumeClaimTemplates ?? [];
      const volumes = [
        ...spec["volumes"].map((volume: Manifest) => volume["name"]),
        ...claims.map((claim) => claim["metadata"].name),
      ];
      expect(new Set(volumes).size, label).toBe(volumes.length);
      for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
        for (const mount of container.volumeMounts) expect(volumes, label).toContain(mount.name);
      }
    }
  });

  it("declare a variable before another one uses it", () => {
    for (const [label, spec] of podSpecs(manifests)) {
      for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
        const known = new Set<string>();
        for (const { name, value } of container.env ?? []) {
          for (const [, used] of String(value ?? "").matchAll(/\$\(([A-Z_]+)\)/g)) {
            expect(known, `${label} ${name}`).toContain(used);
          }
          expect(known, `${label} twice`).not.toContain(name);
          known.add(name);
        }
      }
    }
  });
});

/** [kind, name] of what a pod can't start without. */
function references(spec: Manifest): [string, string][] {
  const found: [string, string][] = [];
  if (spec["serviceAccountName"] !== undefined) found.push(["ServiceAccount", spec["serviceAccountName"]]);
  for (const volume of spec["volumes"]) {
    if (volume.secret !== undefined) found.push(["Secret", volume.secret.secretName]);
    if (volume.configMap !== undefined) found.push(["ConfigMap", volume.configMap.name]);
  }
  for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
    for (const { valueFrom } of container.env ?? []) {
      if (valueFrom?.secretKeyRef !== undefined) found.push(["Secret", valueFrom.secretKeyRef.name]);
    }
    for (const { configMapRef } of container.envFrom ?? []) {
      if (configMapRef !== undefined) found.push(["ConfigMap", configMapRef.name]);
    }
  }
  return found;
}
