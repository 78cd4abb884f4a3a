import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { debianPackage } from "../harness/debian-package.js";
import { CHART, type Manifest, pick, render } from "./rendering.js";

const PROMTOOL = join(await debianPackage("prometheus"), "usr", "bin", "promtool");
const folder = mkdtempSync(join(tmpdir(), "ringfleet-rules-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const MANIFESTS = render(["-f", join(CHART, "ci", "monitoring-values.yaml")]);
const RULES: Manifest = pick(MANIFESTS, "PrometheusRule", "fleet-ringfleet")["spec"];
const FLEET = 'namespace="work",fleet="fleet-ringfleet"';

/** [alert, series that raise it, series that don't]; a sample every 15 s for 20 minutes. */
const CASES: [string, Record<string, string>, Record<string, string>][] = [
  ["RingfleetRowsStale", { "oldest_row_age_seconds{}": "0+15x80" }, { "oldest_row_age_seconds{}": "1x80" }],
  [
    "RingfleetTicksMissed",
    { 'ticks_total{result="missed"}': "0+5x80" },
    { 'ticks_total{result="missed"}': "3x80" },
  ],
  [
    "RingfleetTicksLate",
    { 'ticks_total{result="late"}': "0+2x80", 'ticks_total{result="done"}': "0+13x80" },
    { 'ticks_total{result="late"}': "0x80", 'ticks_total{result="done"}': "0+15x80" },
  ],
  [
    "RingfleetTicksRefused",
    { 'ticks_total{result="refused"}': "0+15x80" },
    { 'ticks_total{result="refused"}': "0x80" },
  ],
  [
    "RingfleetNoLeader",
    { 'leader{pod="a"}': "0x80", 'leader{pod="b"}': "0x80" },
    { 'leader{pod="a"}': "1x80" },
  ],
  [
    "RingfleetTwoLeaders",
    { 'leader{pod="a"}': "1x80", 'leader{pod="b"}': "1x80" },
    { 'leader{pod="a"}': "1x80" },
  ],
  ["RingfleetWorkersUnwell", { 'members{state="unfit"}': "1x80" }, { 'members{state="seated"}': "3x80" }],
  ["RingfleetNoWorkers", { 'members{state="seated"}': "0x80" }, { 'members{state="seated"}': "3x80" }],
  ["RingfleetImbalance", { "imbalance_ratio{}": "2x80" }, { "imbalance_ratio{}": "1.05x80" }],
  [
    "RingfleetRingChurn",
    { 'ring_changes_total{reason="join"}': "0+2x80" },
    { 'ring_changes_total{reason="join"}': "9x80" },
  ],
  [
    "RingfleetDigestMismatch",
    { "digest_mismatches_total{}": "0+1x80" },
    { "digest_mismatches_total{}": "0x80" },
  ],
  [
    "RingfleetHeartbeatsFail",
    { 'heartbeats_total{result="failed"}': "0+9x80" },
    { 'heartbeats_total{result="sent"}': "0+30x80" },
  ],
  [
    "RingfleetFailingRows",
    { 'failing_rows{reason="raises"}': "2x80" },
    { 'failing_rows{reason="raises"}': "0x80" },
  ],
  [
    "RingfleetDatabaseClockBack",
    { "database_clock_step_back_seconds{}": "30x80" },
    { "database_clock_step_back_seconds{}": "0x80" },
  ],
  [
    "RingfleetOldSnapshot",
    { "oldest_snapshot_age_seconds{}": "0+15x80" },
    { "oldest_snapshot_age_seconds{}": "2x80" },
  ],
  [
    "RingfleetPoolExhausted",
    { 'pg_pool_connections{state="waiting",pod="a"}': "4x80" },
    { 'pg_pool_connections{state="idle",pod="a"}': "4x80" },
  ],
];

function promtool(...args: string[]): { ok: boolean; said: string } {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, args, { cwd: folder, encoding: "utf8" });
  return { ok: status === 0, said: stdout + stderr };
}

/** Whether the alert fires at the 20th minute, as promtool tells. */
function fires(alert: string, series: Record<string, string>): boolean {
  writeFileSync(join(folder, "rules.yaml"), stringify(RULES));
  const inputs = Object.entries(series).map(([name, values]) => ({
    series: `ringfleet_${name.replace("{", name.includes("{}") ? `{${FLEET}` : `{${FLEET},`)}`,
    values,
  }));
  const check = {
    expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
    eval_time: "20m",
  };
  const test = { interval: "15s", input_series: inputs };
  const outcomes = [0, 1].map((value) => {
    const promql_expr_test = [{ ...check, exp_samples: [{ labels: "{}", value }] }];
    writeFileSync(
      join(folder, "test.yaml"),
      stringify({
        rule_files: ["rules.yaml"],
        evaluation_interval: "15s",
        tests: [{ ...test, promql_expr_test }],
      }),
    );
    return promtool("test", "rules", "test.yaml");
  });
  const [quiet, firing] = outcomes;
  if (quiet?.ok === firing?.ok) throw new Error(`promtool: ${quiet?.said}\n${firing?.said}`);
  return firing?.ok === true;
}

describe("promtool", () => {
  it("finds nothing wrong with the rules", () => {
    writeFileSync(join(folder, "rules.yaml"), stringify(RULES));
    const { ok, said } = promtool("check", "rules", "rules.yaml");
    expect(ok, said).toBe(true);
  });

  it("has a case for every alert", () => {
    expect(CASES.map(([alert]) => alert)).toEqual(
      RULES["groups"][0].rules.map(({ alert }: Manifest) => alert),
    );
  });

  it.each(CASES)("%s fires when it should, and only then", (alert, bad, good) => {
    expect(fires(alert, bad)).toBe(true);
    expect(fires(alert, good)).toBe(false);
  });
});
