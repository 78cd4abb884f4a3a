import { expect, it } from "vitest";
import { CHART, helm } from "../../chart/rendering.js";

function notes(...values: string[]): string {
  const args = ["install", "fleet", CHART, "--namespace", "work", "--dry-run=client"];
  const { ok, stdout, stderr } = helm([...args, ...values.flatMap((value) => ["--set", value])]);
  expect(ok, stderr).toBe(true);
  return stdout.slice(stdout.indexOf("NOTES:"));
}

it("NOTES tell how to reach, to watch, to scale and to test", () => {
  const text = notes();
  expect(text).toContain("kubectl -n work port-forward svc/fleet-ringfleet-control-plane 8080:8080");
  expect(text).toContain(
    "psql -U ringfleet ringfleet -c 'SELECT * FROM public.work_items ORDER BY currentWorker'",
  );
  expect(text).toContain("helm upgrade fleet <chart> -n work --reuse-values --set worker.replicaCount=7");
  expect(text).toContain("/metrics");
  expect(text).toContain("helm test fleet -n work");
  expect(text).not.toContain("WARNING");
});

it("NOTES warn where rows would be lost, and leave scaling to the autoscaler", () => {
  expect(notes("postgresql.persistence.enabled=false")).toContain("WARNING");
  expect(notes("autoscaling.enabled=true")).toContain("by the HorizontalPodAutoscaler");
  expect(notes("autoscaling.enabled=true")).not.toContain("--set worker.replicaCount");
});
