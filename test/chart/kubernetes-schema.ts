import { createRequire } from "node:module";
import type { Manifest } from "./rendering.js";

const require = createRequire(import.meta.url);

/** Kinds of operators, which Kubernetes itself has no schema for. */
const OPERATOR_KINDS = new Set([
  "Cluster",
  "HTTPRoute",
  "PodMonitor",
  "PrometheusRule",
  "ScaledObject",
  "ServiceMonitor",
]);

interface Model {
  validate(): void;
}

/** What Kubernetes' schema says against a manifest, unknown fields included; null for kinds of operators. */
export function schemaProblems(manifest: Manifest): string[] | null {
  const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
  if (OPERATOR_KINDS.has(kind)) return null;
  const models = require(`kubernetes-models/${apiVersion}`) as Record<string, new (data: object) => Model>;
  const Model = models[kind];
  if (Model === undefined) return [`${apiVersion} has no ${kind}`];
  try {
    new Model(structuredClone(manifest)).validate();
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  return unknownFields(Model.prototype as Model, manifest);
}

/**
 * Fields that the schema has never heard of: those that its compiled validator doesn't look at, although it
 * looks at others of the same object. Kubernetes drops them silently, so that a typo would go unnoticed.
 */
function unknownFields(prototype: Model, manifest: Manifest): string[] {
  const seen = new Map<object, { path: string; keys: Set<PropertyKey> }>();
  const watch = (value: unknown, path: string): unknown => {
    if (value === null || typeof value !== "object") return value;
    const keys = new Set<PropertyKey>();
    seen.set(value, { path, keys });
    const isArray = Array.isArray(value);
    const watched = new Map<PropertyKey, unknown>();
    return new Proxy(value, {
      get(target, key) {
        keys.add(key);
        if (!watched.has(key)) {
          const child = Reflect.get(target, key) as unknown;
          watched.set(key, typeof key === "symbol" ? child : watch(child, `${path}.${key}`));
        }
        return watched.get(key);
      },
      ownKeys(target) {
        // A map whose keys are free is walked through as a whole.
        for (const key of Reflect.ownKeys(target)) if (!isArray) keys.add(key);
        return Reflect.ownKeys(target);
      },
    });
  };
  const subject = Object.create(prototype) as Model & Record<string, unknown>;
  for (const [key, value] of Object.entries(manifest)) subject[key] = watch(value, key);
  subject.validate();
  return [...seen].flatMap(([value, { path, keys }]) =>
    Array.isArray(value) || keys.size === 0
      ? []
      : Object.keys(value)
          .filter((key) => !keys.has(key))
          .map((key) => `${path}.${key} is unknown`),
  );
}
