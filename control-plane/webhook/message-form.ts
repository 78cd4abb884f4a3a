import { Problem } from "../../core/http/problem.js";
import { reasonOf } from "../../core/postgres/errors.js";
import { configSchema } from "../../core/versions/config.js";

/** What a message says: either the config itself, or only that something changed. */
export type MessageContent = { kind: "config"; config: unknown } | { kind: "news" };

/**
 * A body is a config if it is an object with at least one key of a config at its top, or no object at all
 * (which then is told to be a bad config). An empty body, and an object with other keys only, such as any
 * service's push event, says that something changed. Throws Problem 400 for what is no JSON.
 */
export function contentOf(body: string): MessageContent {
  if (body.trim() === "") return { kind: "news" };
  const json = parsed(body);
  const isObject = json !== null && typeof json === "object" && !Array.isArray(json);
  const isConfig = !isObject || Object.keys(configSchema.shape).some((key) => Object.hasOwn(json, key));
  return isConfig ? { kind: "config", config: json } : { kind: "news" };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new Problem({
      status: 400,
      code: "body_not_json",
      title: "Bad request",
      detail: `the body is not JSON: ${reasonOf(error)}`,
      cause: error,
    });
  }
}
