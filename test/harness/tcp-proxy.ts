import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

type Direction = "toServer" | "toClient";

/** What a link does to bytes that go one way. */
interface Way {
  /** Bytes are swallowed: the sender sees a peer that is there and says nothing. */
  silent: boolean;
  delayMs: number;
  /** Has every connection look again which of its bytes are due. */
  lookAgain: Set<() => void>;
}

/** Sees what the server sends over one connection, and passes on what it likes, when it likes. */
export type Rewrite = (bytes: Buffer, pass: (bytes: Buffer) => void) => void;

/**
 * A link between two processes that a test can delay, cut (one way or both), reset, redirect, or leave
 * half-open. It forwards to one address of this machine.
 */
export class TcpProxy {
  readonly #server: Server;
  #target: { host: string; port: number };
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  readonly #ways: Record<Direction, Way> = {
    toServer: { silent: false, delayMs: 0, lookAgain: new Set() },
    toClient: { silent: false, delayMs: 0, lookAgain: new Set() },
  };
  #refusing = false;
  readonly #rewrites: (() => Rewrite) | null;

  private constructor(target: { host: string; port: number }, rewrites: (() => Rewrite) | null) {
    this.#target = target;
    this.#rewrites = rewrites;
    this.#server = createServer((client) => this.#join(client));
  }

  /** `rewrites` makes one rewrite for each connection. */
  static async start(targetUrl: string, rewrites: (() => Rewrite) | null = null): Promise<TcpProxy> {
    const proxy = new TcpProxy(addressOf(targetUrl), rewrites);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** `url` as it reads through this link. */
  through(url: string): string {
    const via = new URL(url);
    via.hostname = "127.0.0.1";
    via.port = String((this.#server.address() as AddressInfo).port);
    return via.href;
  }

  /** Nothing arrives any more that way (both by default); connections stay half-open. */
  cut(...directions: Direction[]): void {
    for (const way of directions.length === 0 ? (["toServer", "toClient"] as const) : directions) {
      this.#ways[way].silent = true;
    }
  }

  /** Bytes take so long each way, also those on their way; they stay in order. */
  delay(ms: number): void {
    for (const way of Object.values(this.#ways)) {
      way.delayMs = ms;
      for (const look of way.lookAgain) look();
    }
  }

  /** Every connection is reset, and new ones are refused until `heal`. */
  refuse(): void {
    this.#refusing = true;
    this.resetAll();
  }

  /** As a virtual address that moves to another server: new connections lead there, old ones are reset. */
  redirect(targetUrl: string): void {
    this.#target = addressOf(targetUrl);
    this.#refusing = false;
    this.resetAll();
  }

  /** Every connection is reset; new ones work. */
  resetAll(): void {
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }

  /** The link is whole again. Connections that were cut have lost bytes: they are reset, as a router would. */
  heal(): void {
    const wasCut = this.#ways.toServer.silent || this.#ways.toClient.silent;
    for (const way of Object.values(this.#ways)) way.silent = false;
    this.#refusing = false;
    this.delay(0);
    if (wasCut) this.resetAll();
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
    if (this.#server.listening) await once(this.#server, "close");
  }

  #join(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect(this.#target);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
    }
    const end = () => this.#end(pair);
    this.#forward(client, upstream, this.#ways.toServer, end);
    this.#forward(upstream, client, this.#ways.toClient, end);
  }

  #forward(from: Socket, to: Socket, way: Way, end: () => void): void {
    const rewrite = way === this.#ways.toClient ? (this.#rewrites?.() ?? null) : null;
    const pass = (bytes: Buffer) => {
      if (!way.silent && !to.destroyed) to.write(bytes);
    };
    const line = waitingLine(way);
    from.on("data", (bytes: Buffer) => {
      if (way.silent) return;
      if (rewrite !== null) rewrite(bytes, pass);
      else line.add(() => pass(bytes));
    });
    from.on("end", () => {
      if (!way.silent) line.add(() => to.end());
    });
    from.on("close", () => line.add(end));
    to.on("close", () => line.close());
  }

  #end(pair: { client: Socket; upstream: Socket }): void {
    // A cut link tells neither side that the other has gone.
    if (this.#ways.toServer.silent || this.#ways.toClient.silent) return;
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.upstream.destroy();
  }
}

/** One connection's bytes on their way: each is due `delayMs` after it came, none before what came earlier. */
function waitingLine(way: Way): { add: (run: () => void) => void; close: () => void } {
  let waiting: { cameAt: number; run: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    clearTimeout(timer);
    for (;;) {
      const [first] = waiting;
      if (first === undefined) return;
      const dueInMs = first.cameAt + way.delayMs - performance.now();
      if (dueInMs > 0) {
        timer = setTimeout(look, dueInMs);
        return;
      }
      waiting.shift();
      first.run();
    }
  };
  way.lookAgain.add(look);
  return {
    add: (run) => {
      waiting.push({ cameAt: performance.now(), run });
      look();
    },
    close: () => {
      clearTimeout(timer);
      waiting = [];
      way.lookAgain.delete(look);
    },
  };
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}
