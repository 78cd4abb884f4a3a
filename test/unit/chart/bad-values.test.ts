import { describe, expect, it } from "vitest";
import { CHART, helm } from "../../chart/rendering.js";

const EXTERNAL_POSTGRES = ["postgresql.enabled=false", "externalPostgresql.host=db"];
const WITH_PASSWORD = [...EXTERNAL_POSTGRES, "externalPostgresql.password=secret"];

/** [what is wrong, --set, what the message says]. */
const REFUSED: [string, string[], RegExp][] = [
  ["fewer than no workers", ["worker.replicaCount=-1"], /worker\/replicaCount.*minimum: got -1, want 0/],
  ["a word for a number", ["worker.replicaCount=many"], /worker\/replicaCount.*got string, want integer/],
  [
    "a value that doesn't exist",
    ["worker.replicas=3"],
    /worker.*additional properties 'replicas' not allowed/,
  ],
  ["a section that doesn't exist", ["workers.replicaCount=3"], /additional properties 'workers' not allowed/],
  ["no control plane", ["controlPlane.replicaCount=0"], /controlPlane\/replicaCount.*minimum: got 0, want 1/],
  ["a kind that isn't offered", ["worker.kind=DaemonSet"], /worker\/kind.*'Deployment', 'StatefulSet'/],
  ["an unknown log level", ["logLevel=loud"], /logLevel.*'fatal', 'error', 'warn'/],
  ["a digest that is none", ["worker.image.digest=latest"], /worker\/image\/digest.*does not match pattern/],
  ["a tick shorter than allowed", ["config.initial.tickMs=10"], /config\/initial\/tickMs.*got 10, want 100/],
  ["a config key that doesn't exist", ["config.initial.speed=3"], /config\/initial.*'speed' not allowed/],
  ["a reserved schema", ["postgresSchema=pg_fleet"], /postgresSchema/],
  ["white space in the key prefix", ["redisKeyPrefix=a b"], /redisKeyPrefix.*does not match pattern/],
  ["a token too short", ["api.token=short"], /api\/token.*does not match pattern/],
  ["a password with white space", ["redis.auth.password=pass word"], /redis\/auth\/password.*pattern/],
  [
    "a port in a host's name",
    ["postgresql.enabled=false", "externalPostgresql.host=db.example.com:5432"],
    /externalPostgresql\/host.*does not match pattern/,
  ],
  ["a URL for a host", ["externalRedis.host=redis://cache"], /externalRedis\/host.*does not match pattern/],
  [
    "a liveness probe that must succeed twice, which Kubernetes has not",
    ["probes.liveness.successThreshold=2"],
    /liveness\/successThreshold/,
  ],
  [
    "an sslMode that isn't safe",
    [...EXTERNAL_POSTGRES, "externalPostgresql.sslMode=prefer"],
    /sslMode.*'verify-full'/,
  ],
  [
    "a port beyond 65535",
    ["externalPostgresql.port=70000"],
    /externalPostgresql\/port.*maximum: got 70,?000/,
  ],
  ["a size that is none", ["postgresql.persistence.size=big"], /persistence\/size.*does not match pattern/],
  ["a Service type that isn't offered", ["controlPlane.service.type=External"], /service\/type/],
  ["an Ingress without a host", ["ingress.enabled=true"], /ingress\/hosts.*minItems: got 0, want 1/],
  ["an HTTPRoute without a Gateway", ["httpRoute.enabled=true"], /httpRoute\/parentRefs.*minItems/],
  ["a drain beyond 10 minutes", ["worker.drainTimeoutMs=700000"], /worker\/drainTimeoutMs.*maximum/],
  [
    "a variable with two values",
    ["worker.extraEnv[0].name=A", "worker.extraEnv[0].value=b", "worker.extraEnv[0].valueFrom.x=y"],
    /worker\/extraEnv\/0.*'not' failed/,
  ],
  ["a network without a mask", ["networkPolicy.externalCidrs[0]=10.0.0.1"], /externalCidrs\/0.*pattern/],
  // What no schema can say.
  [
    "a variable that the chart sets itself",
    ["worker.extraEnv[0].name=DATABASE_URL", "worker.extraEnv[0].value=postgres://db"],
    /worker\.extraEnv: DATABASE_URL is set already/,
  ],
  [
    "a variable that stands twice",
    ["controlPlane.extraEnv[0].name=A", "controlPlane.extraEnv[1].name=A"],
    /controlPlane\.extraEnv: A is set already/,
  ],
  ["no Postgres", ["postgresql.enabled=false"], /no Postgres: set externalPostgresql\.host/],
  ["two Postgres", ["cloudnativepg.enabled=true"], /both true: switch one of them off/],
  [
    "an external Postgres beside the bundled one",
    ["externalPostgresql.host=db"],
    /postgresql\.enabled.*is true/,
  ],
  ["an external Postgres without a password", EXTERNAL_POSTGRES, /needs a password, or an existingSecret/],
  ["no Redis", ["redis.enabled=false"], /no Redis: set externalRedis\.host/],
  ["an external Redis beside the bundled one", ["externalRedis.host=cache"], /redis\.enabled is true/],
  [
    "a config source that no webhook can call for",
    ["webhook.source.url=https://config.example.com/fleet.json"],
    /set webhook\.existingSecret/,
  ],
  [
    "a config source without TLS",
    ["webhook.existingSecret=w", "webhook.source.url=http://config.example.com/"],
    /webhook\/source\/url.*does not match pattern/,
  ],
  [
    "a tokenKey of no Secret",
    ["webhook.source.tokenKey=token"],
    /tokenKey are keys of webhook\.existingSecret: set that too/,
  ],
  [
    "certificates for a Redis without TLS",
    ["redis.enabled=false", "externalRedis.host=cache", "externalRedis.tls.existingSecret=cache-ca"],
    /externalRedis\.tls\.enabled is false/,
  ],
  [
    "certificates for a Postgres without TLS",
    [...WITH_PASSWORD, "externalPostgresql.sslMode=disable", "externalPostgresql.tls.existingSecret=db-ca"],
    /sslMode is disable/,
  ],
  [
    "verify-ca without a CA, which no process starts with",
    [...WITH_PASSWORD, "externalPostgresql.sslMode=verify-ca"],
    /verify-ca needs tls\.existingSecret with the CA/,
  ],
  [
    "a client certificate of no Secret",
    ["externalRedis.tls.certKey=tls.crt", "externalRedis.tls.keyKey=tls.key"],
    /certKey is a key of externalRedis\.tls\.existingSecret: set that too/,
  ],
  [
    "more sentinels to agree than there are",
    ["redis.architecture=sentinel", "redis.sentinel.quorum=4"],
    /quorum \(4\) is more than redis\.sentinel\.replicas \(3\)/,
  ],
  [
    "more synchronous standbys than standbys",
    ["postgresql.enabled=false", "cloudnativepg.enabled=true", "cloudnativepg.instances=1"],
    /synchronousReplicas \(1\) must be less than cloudnativepg\.instances \(1\)/,
  ],
  [
    "a preStop that takes up the whole grace period",
    ["controlPlane.preStopSeconds=30"],
    /preStopSeconds \(30\) must be less than controlPlane\.terminationGracePeriodSeconds \(30\)/,
  ],
  ["half a client certificate", ["externalPostgresql.tls.certKey=tls.crt"], /certKey and keyKey go together/],
  [
    "a hook before the database is there",
    ["migrations.mode=hook"],
    /before the chart's own Postgres is there/,
  ],
  [
    "two autoscalers",
    ["autoscaling.enabled=true", "keda.enabled=true", "keda.rowsPerWorker=1"],
    /only one of them/,
  ],
  [
    "more at least than at most",
    ["autoscaling.enabled=true", "autoscaling.minReplicas=30"],
    /minReplicas \(30\) is more/,
  ],
  ["KEDA without a trigger", ["keda.enabled=true"], /needs keda\.rowsPerWorker or keda\.triggers/],
  [
    "a death sooner than 3 beats",
    ["heartbeatMs=1000"],
    /deadAfterMs \(1500\) must be at least 3 × heartbeatMs \(3000\)/,
  ],
  [
    "a grace period that the drain doesn't fit",
    ["worker.drainTimeoutMs=60000"],
    /\(40\) must be at least 65/,
  ],
  ["a rollout that could never go on", ["worker.rollingUpdate.maxSurge=0"], /no rollout could ever go on/],
  [
    "more workers than Postgres has connections for",
    ["worker.replicaCount=200"],
    /200 workers need up to 825 Postgres connections, postgresql\.maxConnections is 500/,
  ],
  [
    "more workers than CloudNativePG's Postgres has connections for",
    ["postgresql.enabled=false", "cloudnativepg.enabled=true", "worker.replicaCount=200"],
    /200 workers need up to 825 Postgres connections, cloudnativepg\.parameters\.max_connections is 500/,
  ],
];

describe("values that can't work are refused, and the message says why", () => {
  it.each(REFUSED)("%s", (_what, values, message) => {
    const { ok, stderr } = helm(["template", "fleet", CHART, ...values.flatMap((value) => ["--set", value])]);
    expect(ok).toBe(false);
    expect(stderr).toMatch(message);
  });

  it.each(["1fleet", "my.fleet"])("a release %s, whose name no Service can have", (release) => {
    const refused = helm(["template", release, CHART]);
    expect(refused.ok).toBe(false);
    expect(refused.stderr).toMatch(/can't name a Service.*set fullnameOverride/);
    expect(helm(["template", release, CHART, "--set", "fullnameOverride=fleet"]).ok).toBe(true);
  });
});
