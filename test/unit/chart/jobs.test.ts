import { join } from "node:path";
import { expect, it } from "vitest";
import { CHART, type Manifest, pick, podSpecs, render } from "../../chart/rendering.js";

/** The pods that use the control plane's image: its own, the migration Job's and that of `helm test`. */
function podsOfItsImage(): [string, Manifest][] {
  const pods = podSpecs(render(["-f", join(CHART, "ci", "full-values.yaml")]));
  return pods.filter(([label]) => /control-plane$|-migrate-|-test$/.test(label));
}

it("the Job and helm test get the nodes, variables and volumes that the control plane needs to reach the stores", () => {
  expect(podsOfItsImage().map(([label]) => label.split("/")[0])).toEqual(["Deployment", "Job", "Pod"]);
  for (const [label, spec] of podsOfItsImage()) {
    expect(spec, label).toMatchObject({
      nodeSelector: { "example.com/pool": "fleet" },
      tolerations: [{ key: "pool", operator: "Exists" }],
      volumes: expect.arrayContaining([{ name: "company", configMap: { name: "company-ca" } }]),
    });
    for (const container of [...(spec["initContainers"] ?? []), ...spec["containers"]]) {
      expect(container.env, label).toContainEqual({
        name: "NODE_EXTRA_CA_CERTS",
        value: "/etc/company/ca.crt",
      });
      expect(container.envFrom, label).toContainEqual({ secretRef: { name: "company-proxy" } });
      expect(container.volumeMounts, label).toContainEqual({
        name: "company",
        mountPath: "/etc/company",
        readOnly: true,
      });
    }
  }
});

it("a Job that has failed for good leaves its pods, whose logs say why", () => {
  const job = render().find(({ kind }) => kind === "Job") as Manifest;
  expect(job["spec"].template.spec.restartPolicy).toBe("Never");
});

it("whoever isn't ready keeps no node from being drained", () => {
  const budgets = render().filter(({ kind }) => kind === "PodDisruptionBudget");
  expect(budgets).toHaveLength(2);
  for (const { spec } of budgets) {
    expect(spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: "AlwaysAllow" });
  }
});

it("the role of the processes sees others' sessions, which the alert on old snapshots is about", () => {
  const script = pick(render(), "ConfigMap", "fleet-ringfleet-postgresql")["data"]["10-role.sh"];
  expect(script).toMatch(/CREATE ROLE :"role".*\nGRANT pg_read_all_stats TO :"role";/);
  const failover = render(["-f", join(CHART, "ci", "failover-values.yaml")]);
  const { initdb } = pick(failover, "Cluster", "fleet-ringfleet-pg")["spec"].bootstrap;
  expect(initdb.postInitApplicationSQL).toEqual([`GRANT pg_read_all_stats TO ${initdb.owner}`]);
});
