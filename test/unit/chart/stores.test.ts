import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseControlPlaneSettings, parseWorkerSettings } from "../../../core/settings/settings.js";
import { CHART, type Manifest, pick, render } from "../../chart/rendering.js";

function rendered(name: string): Manifest[] {
  return render(["-f", join(CHART, "ci", `${name}-values.yaml`)]);
}

/** Environment of the first container as a kubelet would make it; what Secrets of others hold is `secret`. */
function environment(manifests: Manifest[], component: string): Record<string, string> {
  const [container] = pick(manifests, "Deployment", `fleet-ringfleet-${component}`)["spec"].template.spec
    .containers;
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom) {
    if (configMapRef !== undefined)
      Object.assign(env, pick(manifests, "ConfigMap", configMapRef.name)["data"]);
  }
  for (const { name, value, valueFrom } of container.env) {
    if (valueFrom?.secretKeyRef !== undefined) env[name] = secretValue(manifests, valueFrom.secretKeyRef);
    else if (valueFrom?.fieldRef !== undefined) env[name] = fieldValue(valueFrom.fieldRef.fieldPath);
    else
      env[name] = String(value).replaceAll(/\$\(([A-Z_]+)\)/g, (whole, other: string) => env[other] ?? whole);
  }
  return env;
}

function secretValue(manifests: Manifest[], { name, key }: { name: string; key: string }): string {
  const secret = manifests.find(({ kind, metadata }) => kind === "Secret" && metadata.name === name);
  if (secret === undefined)
    return key.endsWith("-url")
      ? `${key.startsWith("redis") ? "redis" : "postgres"}://u:p@host`
      : "secret-text";
  return Buffer.from(secret["data"][key], "base64").toString();
}

function fieldValue(path: string): string {
  return path === "status.podIP" ? "10.1.2.3" : "fleet-pod";
}

describe.each(["defaults", "external", "external-tls", "external-urls", "external-sentinel", "failover"])(
  "values %s",
  (name) => {
    it("give processes settings that they accept", () => {
      const manifests = rendered(name);
      const worker = parseWorkerSettings(environment(manifests, "worker"));
      const controlPlane = parseControlPlaneSettings(environment(manifests, "control-plane"));
      expect(worker).toMatchObject({
        host: "0.0.0.0",
        port: 9090,
        workerName: "fleet-pod",
        workerAddress: "http://10.1.2.3:9090",
      });
      expect(controlPlane).toMatchObject({ host: "0.0.0.0", port: 8080, replicaName: "fleet-pod" });
      expect(worker.databaseUrl).toBe(controlPlane.databaseUrl);
      expect(worker.redisUrl).toBe(controlPlane.redisUrl);
    });
  },
);

it("bundled stores: URLs of their Services, passwords from the same Secrets as the servers'", () => {
  const manifests = rendered("defaults");
  const env = environment(manifests, "worker");
  const secret = pick(manifests, "Secret", "fleet-ringfleet-postgresql")["data"];
  expect(env["DATABASE_URL"]).toBe("postgresql://ringfleet@fleet-ringfleet-postgresql:5432/ringfleet");
  expect(env["PGPASSWORD"]).toBe(Buffer.from(secret.password, "base64").toString());
  expect(env["PGPASSWORD"]).toMatch(/^[A-Za-z0-9]{32}$/);
  expect(secret.password).not.toBe(secret["postgres-password"]);
  expect(env["REDIS_URL"]).toBe("redis://fleet-ringfleet-redis:6379/0");
  const redis = pick(manifests, "Secret", "fleet-ringfleet-redis")["data"];
  expect(env["REDIS_PASSWORD"]).toBe(Buffer.from(redis.password, "base64").toString());
});

it("external stores: accounts with any characters, and a copy of the password for the hook", () => {
  const manifests = rendered("external");
  const env = environment(manifests, "worker");
  expect(env["DATABASE_URL"]).toBe("postgresql://fleet%20user@db.example.com:5432/ringfleet");
  expect(env["PGPASSWORD"]).toBe("p@ss/word");
  expect(env["PG_SSL_MODE"]).toBe("verify-full");
  expect(env["REDIS_URL"]).toBe("redis://fleet@cache.example.com:6379/3");
  expect(env["REDIS_PASSWORD"]).toBe("pl@in/w:rd#%41");
  const job = pick(manifests, "Job", "fleet-ringfleet-migrate");
  expect(job["metadata"].annotations).toMatchObject({
    "helm.sh/hook": "pre-install,pre-upgrade",
    "helm.sh/hook-weight": "0",
  });
  const used = JSON.stringify(job["spec"].template.spec);
  expect(used).toContain('"name":"fleet-ringfleet-migrate"');
  expect(used).not.toContain("fleet-ringfleet-external-postgresql");
  for (const kind of ["Secret", "ConfigMap"]) {
    expect(pick(manifests, kind, "fleet-ringfleet-migrate")["metadata"].annotations).toMatchObject({
      "helm.sh/hook-weight": "-10",
      "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
    });
  }
});

it("TLS: certificates as mounted files, and nothing else of their Secrets", () => {
  const manifests = rendered("external-tls");
  expect(environment(manifests, "control-plane")).toMatchObject({
    PG_SSL_MODE: "verify-full",
    PG_SSL_CA_FILE: "/etc/ringfleet/postgresql-tls/ca.crt",
    PG_SSL_CERT_FILE: "/etc/ringfleet/postgresql-tls/tls.crt",
    PG_SSL_KEY_FILE: "/etc/ringfleet/postgresql-tls/tls.key",
    REDIS_URL: "rediss://cache.example.com:6380/0",
    REDIS_PASSWORD: "secret-text",
    REDIS_TLS_CA_FILE: "/etc/ringfleet/redis-tls/ca.crt",
  });
  const { spec } = pick(manifests, "Deployment", "fleet-ringfleet-worker")["spec"].template;
  expect(spec.volumes).toContainEqual({
    name: "postgresql-tls",
    secret: {
      secretName: "fleet-db-tls",
      defaultMode: 0o440,
      items: ["ca.crt", "tls.crt", "tls.key"].map((key) => ({ key, path: key })),
    },
  });
  expect(manifests.filter(({ kind }) => kind === "Secret")).toEqual([]);
});

it("sentinels: of the chart's own set, and of others", () => {
  expect(environment(rendered("failover"), "worker")).toMatchObject({
    REDIS_SENTINELS: [0, 1, 2]
      .map((i) => `fleet-ringfleet-redis-${i}.fleet-ringfleet-redis-nodes:26379`)
      .join(","),
    REDIS_SENTINEL_MASTER: "ringfleet",
    PG_SSL_MODE: "verify-full",
  });
  expect(environment(rendered("external-sentinel"), "worker")).toMatchObject({
    REDIS_SENTINELS: "s-0.cache:26379,s-1.cache:26379,s-2.cache:26379",
    REDIS_SENTINEL_MASTER: "mymaster",
    REDIS_SENTINEL_PASSWORD: "secret-text",
  });
});

it("rows outlive an uninstall: CloudNativePG's Cluster, whose volumes would go with it, is kept", () => {
  const cluster = pick(rendered("failover"), "Cluster", "fleet-ringfleet-pg");
  expect(cluster["metadata"].annotations).toEqual({ "helm.sh/resource-policy": "keep" });
});

it("the bundled Postgres keeps its Secret at uninstall, like its data", () => {
  const manifests = render();
  expect(pick(manifests, "Secret", "fleet-ringfleet-postgresql")["metadata"].annotations).toEqual({
    "helm.sh/resource-policy": "keep",
  });
  expect(
    pick(manifests, "StatefulSet", "fleet-ringfleet-postgresql")["spec"].volumeClaimTemplates,
  ).toHaveLength(1);
});
