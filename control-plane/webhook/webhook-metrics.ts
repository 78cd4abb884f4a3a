import { Counter, type Registry } from "prom-client";

/** Webhook messages by what became of them. */
export function webhookResults(registry: Registry): Counter<"result"> {
  const results = new Counter({
    name: "ringfleet_webhooks_total",
    help:
      "Config webhooks with a right signature, by result: published; unchanged; replayed (taken before); " +
      "refused (bad config, pending version, old timestamp, source); failed (Postgres away).",
    labelNames: ["result"],
    registers: [registry],
  });
  for (const result of ["published", "unchanged", "replayed", "refused", "failed"])
    results.inc({ result }, 0);
  return results;
}
