import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { stringify } from "yaml";
import type { Manifest } from "./rendering.js";

/** Kinds that the chart may render, by group and version. */
const KINDS: Record<string, string[]> = {
  v1: ["ConfigMap", "Pod", "Secret", "Service", "ServiceAccount"],
  "apps/v1": ["Deployment", "StatefulSet"],
  "autoscaling/v2": ["HorizontalPodAutoscaler"],
  "batch/v1": ["Job"],
  "networking.k8s.io/v1": ["NetworkPolicy"],
  "policy/v1": ["PodDisruptionBudget"],
};

function pluralOf(kind: string): string {
  return kind.toLowerCase().replace(/y$/, "ie").concat("s");
}

export interface ClusterStub {
  /** Of a kubeconfig that leads to it. */
  kubeconfig: string;
  /** What stands in the cluster. */
  objects: Manifest[];
  stop(): Promise<void>;
}

/** As much of a Kubernetes API server as helm's `lookup` asks for: discovery, and reading single objects. */
export async function startClusterStub(): Promise<ClusterStub> {
  const objects: Manifest[] = [];
  const server = createServer((request, response) => {
    const answer = answerTo(new URL(request.url ?? "/", "http://cluster").pathname, objects);
    response.writeHead(answer === null ? 404 : 200, { "content-type": "application/json" });
    response.end(
      JSON.stringify(
        answer ?? { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 },
      ),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    objects,
    kubeconfig: stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "stub", cluster: { server: `http://127.0.0.1:${port}` } }],
      contexts: [{ name: "stub", context: { cluster: "stub", user: "stub" } }],
      users: [{ name: "stub", user: {} }],
      "current-context": "stub",
    }),
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function answerTo(path: string, objects: Manifest[]): object | null {
  if (path === "/version") return { major: "1", minor: "33", gitVersion: "v1.33.0" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groups() };
  const [, groupVersion = "", rest] = /^\/(?:api|apis)\/(v1|[^/]+\/v\d)(?:\/(.*))?$/.exec(path) ?? [];
  const kinds = KINDS[groupVersion];
  if (kinds === undefined) return null;
  if (rest === undefined) {
    const resources = kinds.map((kind) => ({ name: pluralOf(kind), kind, namespaced: true, verbs: ["get"] }));
    return { kind: "APIResourceList", groupVersion, resources };
  }
  const [, namespace, plural, name] = /^namespaces\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(rest) ?? [];
  const kind = kinds.find((each) => pluralOf(each) === plural);
  return (
    objects.find(
      (each) =>
        each["kind"] === kind && each["metadata"].name === name && each["metadata"].namespace === namespace,
    ) ?? null
  );
}

function groups(): object[] {
  return Object.keys(KINDS)
    .filter((groupVersion) => groupVersion.includes("/"))
    .map((groupVersion) => {
      const [name, number] = groupVersion.split("/");
      const version = { groupVersion, version: number };
      return { name, versions: [version], preferredVersion: version };
    });
}
