import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TcpProxy } from "../harness/tcp-proxy.js";

test("a link whose delay changes keeps bytes in order, and loses none of the last ones", async () => {
  let received: Promise<string> | null = null;
  const server = createServer((socket) => {
    received = text(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const target = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = await TcpProxy.start(target);
  try {
    link.delay(400);
    const { hostname, port } = new URL(link.through(target));
    const client = connect(Number(port), hostname);
    for (const [index, delayMs] of [400, 100, 300, 0, 200].entries()) {
      link.delay(delayMs);
      client.write(`${index} `);
      await sleep(20);
    }
    client.end("end");
    await expect.poll(() => received).not.toBeNull();
    expect(await received).toBe("0 1 2 3 4 end");
  } finally {
    await link.close();
    server.close();
  }
});
