import type { Manifest } from "../rendering.js";

/** The cluster's ConfigMaps and Secrets, decoded. They throw where there is none. */
export interface Lookup {
  configMap(name: string): Record<string, string>;
  secret(name: string): Record<string, string>;
}

interface PodFacts {
  name: string;
  namespace: string;
  ip: string;
  labels: Record<string, string>;
}

/** A container's environment: envFrom, then env in order, with $(NAME) of what came before. */
export function environmentOf(container: Manifest, lookup: Lookup, pod: PodFacts): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { configMapRef, secretRef } of container["envFrom"] ?? []) {
    if (configMapRef !== undefined) Object.assign(env, lookup.configMap(configMapRef.name));
    if (secretRef !== undefined) Object.assign(env, lookup.secret(secretRef.name));
  }
  for (const { name, value, valueFrom } of container["env"] ?? []) {
    env[name] = valueFrom === undefined ? expand(value ?? "", env) : resolveSource(valueFrom, lookup, pod);
  }
  return env;
}

function expand(text: string, env: Record<string, string>): string {
  return text.replace(/\$\((\w+)\)/g, (whole, name: string) => env[name] ?? whole);
}

function resolveSource(source: Manifest, lookup: Lookup, pod: PodFacts): string {
  const { secretKeyRef, configMapKeyRef, fieldRef } = source;
  const found =
    secretKeyRef !== undefined
      ? lookup.secret(secretKeyRef.name)[secretKeyRef.key]
      : configMapKeyRef !== undefined
        ? lookup.configMap(configMapKeyRef.name)[configMapKeyRef.key]
        : fieldOf(fieldRef.fieldPath, pod);
  if (found === undefined) throw new Error(`nothing there for ${JSON.stringify(source)}`);
  return found;
}

function fieldOf(path: string, pod: PodFacts): string | undefined {
  const label = /^metadata\.labels\['(.+)'\]$/.exec(path)?.[1];
  if (label !== undefined) return pod.labels[label] ?? "";
  const fields: Record<string, string> = {
    "metadata.name": pod.name,
    "metadata.namespace": pod.namespace,
    "status.podIP": pod.ip,
  };
  return fields[path];
}
