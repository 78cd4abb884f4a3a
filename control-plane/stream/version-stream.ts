import type { ServerResponse } from "node:http";
import { Gauge, type Registry } from "prom-client";
import { Problem } from "../../core/http/problem.js";
import type { Queryable } from "../../core/postgres/database.js";
import type { VersionDocument } from "../../core/versions/version.js";
import { ringSummary } from "../api/ring-route.js";
import { configEntry } from "../config/config-entry.js";
import { type Cursor, cursorText } from "./cursor.js";
import { readAfter, readPresent } from "./stream-store.js";

/** Every client costs a socket and a place in each round. */
const MAX_CLIENTS = 100;
/** A hint wakes the stream; this is for lost ones. */
const LOOK_MS = 1000;
/** Comments keep proxies from closing a silent connection. */
const BEAT_MS = 15_000;
const BATCH = 50;
/** A client that doesn't read is let go: it comes back with its last id. */
const MAX_UNREAD_BYTES = 1024 * 1024;

interface Client {
  response: ServerResponse;
  /** Null: begins with what is in force now. */
  cursor: Cursor | null;
}

/**
 * Tells clients of server-sent events what is published. Each has its own cursor into table `versions`, so that
 * nothing is kept for those who are away; clients at the same place share a query.
 */
export class VersionStream {
  readonly #db: Queryable;
  readonly #wake: () => void;
  readonly #clients = new Set<Client>();
  #beat: NodeJS.Timeout | null = null;
  #stopped = false;

  /** `wake` has the next step come at once. */
  constructor(db: Queryable, wake: () => void, registry: Registry) {
    this.#db = db;
    this.#wake = wake;
    const clients = this.#clients;
    new Gauge({
      name: "ringfleet_stream_clients",
      help: "Clients of /v1/stream.",
      registers: [registry],
      collect() {
        this.set(clients.size);
      },
    });
  }

  /** Takes over the response. Throws Problem 503 where there are too many already. */
  add(response: ServerResponse, cursor: Cursor | null): void {
    if (this.#stopped || this.#clients.size >= MAX_CLIENTS) {
      response.setHeader("retry-after", "5");
      throw new Problem({
        status: 503,
        code: "stream_full",
        title: "Unavailable",
        detail: `this replica serves ${MAX_CLIENTS} streams already, or is about to stop: try another, or later`,
      });
    }
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache, no-transform",
      // nginx would otherwise hold events back to fill its buffer.
      "x-accel-buffering": "no",
    });
    response.write("retry: 2000\n\n");
    const client = { response, cursor };
    this.#clients.add(client);
    response.on("close", () => this.#clients.delete(client));
    this.#beat ??= setInterval(() => this.#sayBeat(), BEAT_MS);
    this.#wake();
  }

  /** Sends everybody what is new. Returns the milliseconds until the next look; Infinity without clients. */
  async step(): Promise<number> {
    if (this.#clients.size === 0) return Number.POSITIVE_INFINITY;
    const { highest, start } = await readPresent(this.#db);
    const groups = new Map<string, { cursor: Cursor; clients: Client[] }>();
    for (const client of this.#clients) {
      const { cursor } = client;
      // A cursor beyond the newest is of another database, or of a history that a failover lost.
      const isKnown = cursor !== null && cursor.ring <= highest.ring && cursor.config <= highest.config;
      const from = isKnown ? cursor : start;
      const group = groups.get(cursorText(from)) ?? { cursor: from, clients: [] };
      group.clients.push(client);
      groups.set(cursorText(from), group);
    }
    let hasMore = false;
    for (const { cursor, clients } of groups.values()) {
      if (cursor.ring === highest.ring && cursor.config === highest.config) continue;
      hasMore = (await this.#tell(cursor, clients)) || hasMore;
    }
    return hasMore ? 0 : LOOK_MS;
  }

  /** Ends every client's response. May be called again. */
  stop(): void {
    this.#stopped = true;
    if (this.#beat !== null) clearInterval(this.#beat);
    for (const { response } of this.#clients) response.end();
  }

  async #tell(from: Cursor, clients: readonly Client[]): Promise<boolean> {
    const documents = await readAfter(this.#db, from, BATCH);
    const cursor = { ...from };
    let text = "";
    for (const document of documents) {
      cursor[document.kind] = document.version;
      text += await eventText(document, cursor);
    }
    for (const client of clients) {
      client.cursor = cursor;
      this.#write(client, text);
    }
    return documents.length >= BATCH;
  }

  #sayBeat(): void {
    for (const client of this.#clients) this.#write(client, ": beat\n\n");
  }

  #write({ response }: Client, text: string): void {
    // Ended by stop() while a step was under way: a slow client's end takes as long as it reads.
    if (response.writableEnded) return;
    if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
    else response.write(text);
  }
}

async function eventText(document: VersionDocument, cursor: Cursor): Promise<string> {
  const id = cursorText(cursor);
  const data = document.kind === "ring" ? await ringSummary(document) : configEntry(document);
  return `id: ${id}\nevent: ${document.kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
