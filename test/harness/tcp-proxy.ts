import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";

type Direction = "toServer" | "toClient";

/** What a link does to bytes that go one way. */
interface Way {
  /** Bytes are swallowed: the sender sees a peer that is there and says nothing. */
  silent: boolean;
  delayMs: number;
}

/**
 * A link between two processes that a test can delay, cut (one way or both), reset, or leave half-open.
 * It forwards to one address of this machine.
 */
export class TcpProxy {
  readonly #server: Server;
  readonly #target: { host: string; port: number };
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  readonly #ways: Record<Direction, Way> = {
    toServer: { silent: false, delayMs: 0 },
    toClient: { silent: false, delayMs: 0 },
  };
  #refusing = false;

  private constructor(target: { host: string; port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async start(targetUrl: string): Promise<TcpProxy> {
    const { hostname, port } = new URL(targetUrl);
    const proxy = new TcpProxy({ host: hostname, port: Number(port) });
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

  delay(ms: number): void {
    this.#ways.toServer.delayMs = ms;
    this.#ways.toClient.delayMs = ms;
  }

  /** Every connection is reset, and new ones are refused until `heal`. */
  refuse(): void {
    this.#refusing = true;
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
    for (const way of Object.values(this.#ways)) Object.assign(way, { silent: false, delayMs: 0 });
    this.#refusing = false;
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
    this.#forward(client, upstream, this.#ways.toServer);
    this.#forward(upstream, client, this.#ways.toClient);
    client.on("close", () => this.#end(pair));
    upstream.on("close", () => this.#end(pair));
  }

  #forward(from: Socket, to: Socket, way: Way): void {
    from.on("data", (bytes) => {
      if (way.silent) return;
      if (way.delayMs === 0) to.write(bytes);
      else setTimeout(() => !way.silent && to.write(bytes), way.delayMs);
    });
    from.on("end", () => {
      if (!way.silent) to.end();
    });
  }

  #end(pair: { client: Socket; upstream: Socket }): void {
    // A cut link tells neither side that the other has gone.
    if (this.#ways.toServer.silent || this.#ways.toClient.silent) return;
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.upstream.destroy();
  }
}
