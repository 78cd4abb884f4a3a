import { join } from "node:path";
import { expect, it } from "vitest";
import { CHART, type Manifest, render } from "../../chart/rendering.js";

const COMPONENTS = ["control-plane", "worker", "postgresql", "redis", "migrate", "test", "stranger"] as const;
const PORTS = { "control-plane": 8080, worker: 9090, postgresql: 5432, redis: 6379 } as const;

function labelsOf(component: string): Record<string, string> {
  if (component === "stranger") return { app: "stranger" };
  return {
    "app.kubernetes.io/name": "ringfleet",
    "app.kubernetes.io/instance": "fleet",
    "app.kubernetes.io/component": component,
  };
}

function selects(selector: Manifest | undefined, labels: Record<string, string>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }: Manifest) => {
      if (operator !== "In") throw new Error(`operator ${operator}`);
      return values.includes(labels[key]);
    })
  );
}

/** Kubernetes' rule: with any policy of that direction, only what one of them lets. Peers in the same namespace. */
function lets(
  policies: Manifest[],
  direction: "Ingress" | "Egress",
  subject: string,
  peer: string,
  port: number,
): boolean {
  const applying = policies.filter(
    ({ spec }) => spec.policyTypes.includes(direction) && selects(spec.podSelector, labelsOf(subject)),
  );
  if (applying.length === 0) return true;
  return applying.some(({ spec }) =>
    (spec[direction.toLowerCase()] ?? []).some((rule: Manifest) => {
      const peers: Manifest[] | undefined = rule[direction === "Ingress" ? "from" : "to"];
      const fits = peers === undefined || peers.some((each) => fitsPeer(each, labelsOf(peer)));
      return (
        fits && (rule["ports"] === undefined || rule["ports"].some((each: Manifest) => each["port"] === port))
      );
    }),
  );
}

function fitsPeer(peer: Manifest, labels: Record<string, string>): boolean {
  if (peer["ipBlock"] !== undefined) return false;
  if (peer["namespaceSelector"]?.matchLabels !== undefined) return false;
  return selects(peer["podSelector"], labels);
}

/** Who reaches whom, by the policies of both ends. */
function reachable(policies: Manifest[]): string[] {
  return COMPONENTS.flatMap((from) =>
    Object.entries(PORTS).flatMap(([to, port]) =>
      lets(policies, "Egress", from, to, port) && lets(policies, "Ingress", to, from, port)
        ? [`${from} → ${to}`]
        : [],
    ),
  );
}

function policiesOf(args: string[]): Manifest[] {
  return render(args).filter(({ kind }) => kind === "NetworkPolicy");
}

const CLOSED = ["-f", join(CHART, "ci", "monitoring-values.yaml")];

it("lets each through to what it needs, and nowhere else", () => {
  expect(reachable(policiesOf(CLOSED)).sort()).toEqual(
    [
      "control-plane → postgresql",
      "control-plane → redis",
      "control-plane → worker",
      "migrate → postgresql",
      "test → control-plane",
      "test → postgresql",
      "worker → control-plane",
      "worker → postgresql",
      "worker → redis",
    ].sort(),
  );
});

it("lets every pod scrape where the values name nobody, but none to the stores", () => {
  const reached = reachable(policiesOf([])).filter((way) => way.startsWith("stranger"));
  expect(reached).toEqual(["stranger → control-plane", "stranger → worker"]);
});

it("denies by default, both ways, every pod of the release", () => {
  const deny = policiesOf([]).find(({ metadata }) => metadata.name === "fleet-ringfleet-default-deny");
  expect(deny?.["spec"].policyTypes).toEqual(["Ingress", "Egress"]);
  expect(Object.keys(deny?.["spec"])).not.toContain("ingress");
  expect(Object.keys(deny?.["spec"])).not.toContain("egress");
  for (const component of COMPONENTS.filter((each) => each !== "stranger")) {
    expect(selects(deny?.["spec"].podSelector, labelsOf(component))).toBe(true);
    expect(lets(policiesOf([]), "Egress", component, "stranger", 443)).toBe(false);
  }
});

it("opens the ports of external stores, towards the networks that the values name", () => {
  const rules = policiesOf(["-f", join(CHART, "ci", "external-values.yaml")]).find(
    ({ metadata }) => metadata.name === "fleet-ringfleet-to-stores",
  )?.["spec"].egress as Manifest[];
  expect(rules).toContainEqual({
    ports: [
      { port: 5432, protocol: "TCP" },
      { port: 6379, protocol: "TCP" },
    ],
    to: [{ ipBlock: { cidr: "10.0.0.0/8" } }],
  });
});

it("lets the control plane fetch the config over HTTPS, where the webhook does so", () => {
  const source = [
    "--set",
    "webhook.existingSecret=w,webhook.source.url=https://config.example.com/fleet.json",
  ];
  expect(lets(policiesOf(source), "Egress", "control-plane", "stranger", 443)).toBe(true);
  expect(lets(policiesOf(source), "Egress", "worker", "stranger", 443)).toBe(false);
});

it("lets it do so by the port that the URL names", () => {
  const source = ["--set", "webhook.existingSecret=w,webhook.source.url=https://config.example.com:8443/x"];
  expect(lets(policiesOf(source), "Egress", "control-plane", "stranger", 8443)).toBe(true);
  expect(lets(policiesOf(source), "Egress", "control-plane", "stranger", 443)).toBe(false);
});

it("lets a migration hook through before the release's own policies are there, in a namespace that denies all", () => {
  const denyAll = { spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"] } };
  const isHook = ({ metadata }: Manifest) => metadata.annotations?.["helm.sh/hook"] !== undefined;
  const external = [
    "-f",
    join(CHART, "ci", "external-values.yaml"),
    "--set",
    "networkPolicy.externalCidrs=null",
  ];
  const present = [denyAll, ...policiesOf(external).filter(isHook)];
  expect(lets(present, "Egress", "migrate", "stranger", 5432)).toBe(true);
  expect(lets(present, "Egress", "migrate", "stranger", 443)).toBe(false);
  expect(lets(present, "Egress", "worker", "stranger", 5432)).toBe(false);
  expect(policiesOf([]).filter(isHook)).toEqual([]);
});

it("has none where they are switched off", () => {
  expect(policiesOf(["--set", "networkPolicy.enabled=false"])).toEqual([]);
});

it("names are asked of the cluster's DNS pods, and of no other pod, on the ports that they listen on", () => {
  const policies = render().filter(({ kind }) => kind === "NetworkPolicy");
  const asking = policies.filter(({ metadata }) => metadata.name === "fleet-ringfleet-to-stores");
  const [rule] = asking.flatMap(({ spec }) => spec.egress) as Manifest[];
  expect(rule?.["to"]).toEqual([
    { namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } },
  ]);
  const ports: Manifest[] = rule?.["ports"];
  expect(ports.map(({ port, protocol }) => `${port}/${protocol}`)).toEqual([
    "53/UDP",
    "53/TCP",
    "5353/UDP",
    "5353/TCP",
  ]);
});
