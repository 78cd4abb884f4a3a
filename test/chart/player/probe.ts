import type { Manifest } from "../rendering.js";
import type { Container } from "./container.js";
import type { Network } from "./network.js";

export interface ProbeTarget {
  container: Container;
  spec: Manifest;
  ip: string;
  network: Network;
}

/** One try of a probe: HTTP from outside the pod as the kubelet's, exec inside. */
export async function probe(
  check: Manifest,
  { container, spec, ip, network }: ProbeTarget,
): Promise<boolean> {
  const timeoutMs = (check["timeoutSeconds"] ?? 1) * 1000;
  if (check["exec"] !== undefined) return await container.exec(check["exec"].command, timeoutMs);
  const { path, port } = check["httpGet"] as { path: string; port: string | number };
  const named = (spec["ports"] ?? []).find(({ name }: Manifest) => name === port)?.containerPort;
  const door = await network.open(ip, named ?? Number(port));
  try {
    const answer = await fetch(`http://127.0.0.1:${door}${path}`, { signal: AbortSignal.timeout(timeoutMs) });
    await answer.arrayBuffer();
    return answer.status >= 200 && answer.status < 400;
  } catch {
    return false;
  }
}
