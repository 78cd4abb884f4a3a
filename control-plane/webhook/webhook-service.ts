import type { Counter } from "prom-client";
import { Problem } from "../../core/http/problem.js";
import type { Queryable } from "../../core/postgres/database.js";
import type { Config } from "../../core/versions/config.js";
import {
  pendingConfigs,
  placeConfig,
  repeatsContent,
  rulingAt,
} from "../../core/versions/config-schedule.js";
import { configDigest } from "../../core/versions/digest.js";
import type { ConfigEntry } from "../config/config-entry.js";
import { changedMeanwhile, pendingConflict, tooSoon } from "../config/config-problems.js";
import { type ConfigService, checkedConfig, type Schedule } from "../config/config-service.js";
import type { ConfigSource } from "./config-source.js";
import { recordDelivery } from "./delivery-store.js";
import { contentOf } from "./message-form.js";
import { checkTimestamp, type SignedMessage } from "./webhook-signature.js";

const ATTEMPTS = 5;
/** As whom a webhook publishes: a later one may replace what an earlier one scheduled, and nothing else. */
const WEBHOOK = "webhook";

export interface WebhookAnswer {
  /** replayed: taken before; unchanged: that is what rules, or is about to. */
  result: "published" | "unchanged" | "replayed";
  entry: ConfigEntry | null;
}

export interface WebhookServiceOptions {
  db: Queryable;
  config: ConfigService;
  source: ConfigSource | null;
  results: Counter<"result">;
}

/** What a webhook asks for, done at most once, whichever replica hears of it. */
export class WebhookService {
  readonly #options: WebhookServiceOptions;

  constructor(options: WebhookServiceOptions) {
    this.#options = options;
  }

  /** Throws Problem: 401 for a timestamp outside the window, 400, 409, 422, 502. */
  async take(message: SignedMessage): Promise<WebhookAnswer> {
    const { results } = this.#options;
    try {
      const answer = await this.#take(message);
      results.inc({ result: answer.result });
      return answer;
    } catch (error) {
      results.inc({ result: error instanceof Problem ? "refused" : "failed" });
      throw error;
    }
  }

  async #take(message: SignedMessage): Promise<WebhookAnswer> {
    const { config, source } = this.#options;
    const content = contentOf(message.body);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const before = await config.schedule(message.id);
      checkTimestamp(message, before.nowMs);
      if (before.delivered) return { result: "replayed", entry: null };
      if (content.kind === "config") {
        const answer = await this.#publish(before, checkedConfig(content.config), message.id, "sent");
        if (answer !== null) return answer;
        continue;
      }
      const fetched = checkedConfig(await required(source).fetch());
      const known = await config.schedule();
      // Somebody published while it was fetched, perhaps what the source holds by now: fetch it anew.
      if (known.highest !== before.highest) continue;
      const answer = await this.#publish(known, fetched, message.id, "fetched", before.newestDeliveryMs);
      if (answer !== null) return answer;
    }
    throw changedMeanwhile();
  }

  /** Null where another publish was first, or another message since `newestDeliveryMs`. */
  async #publish(
    known: Schedule,
    config: Config,
    delivery: string,
    how: "sent" | "fetched",
    newestDeliveryMs = known.newestDeliveryMs,
  ): Promise<WebhookAnswer | null> {
    const { nowMs, versions, highest } = known;
    const last = pendingConfigs(versions, nowMs).at(-1) ?? rulingAt(versions, nowMs);
    if (last?.digest === configDigest(config)) {
      const isNew = await recordDelivery(this.#options.db, delivery);
      return { result: isNew ? "unchanged" : "replayed", entry: null };
    }
    // It may have found unchanged what this one, fetched earlier, would replace.
    if (known.newestDeliveryMs !== newestDeliveryMs) return null;
    const mayReplace = (pending: Schedule["versions"][number]) =>
      pending.createdBy === WEBHOOK || repeatsContent(versions, pending);
    const placed = placeConfig({ versions, nowMs, wantedMs: null, mayReplace });
    if (placed.kind === "pending") throw pendingConflict(placed.version);
    if (placed.kind === "too_soon") throw tooSoon(nowMs, placed.earliestMs);
    const entry = await this.#options.config.publish(highest, {
      config,
      activatesAtMs: placed.activatesAtMs,
      createdBy: WEBHOOK,
      reason: `${how} by message ${delivery}`,
      delivery,
    });
    return entry === null ? null : { result: "published", entry };
  }
}

function required(source: ConfigSource | null): ConfigSource {
  if (source !== null) return source;
  throw new Problem({
    status: 422,
    code: "config_source_missing",
    title: "No config source",
    detail:
      "the message holds no key of a config, so it only says that something changed, and no CONFIG_SOURCE_URL " +
      "is set to fetch the config from",
  });
}
