// Runs in the cluster's network namespace: makes the bridge that pods are attached to, and carries connections
// from the test's (another namespace) to pods. Each connection to the unix socket begins with a line `IP PORT`.
import { execFileSync } from "node:child_process";
import { connect, createServer } from "node:net";

const [, , socketPath, address] = process.argv;
const ip = (...args) => execFileSync("ip", args);
ip("link", "set", "lo", "up");
ip("link", "add", "bridge", "type", "bridge");
ip("addr", "add", `${address}/16`, "dev", "bridge");
ip("link", "set", "bridge", "up");

const server = createServer((client) => {
  client.on("error", () => undefined);
  client.once("readable", () => {
    // The line is short and comes first and alone: the test waits for nothing before it sends it.
    let line = "";
    for (;;) {
      const byte = client.read(1);
      if (byte === null) return client.destroy();
      if (byte[0] === 10) break;
      line += byte.toString("latin1");
    }
    const [host, port] = line.split(" ");
    const pod = connect({ host, port: Number(port) });
    pod.on("error", () => client.destroy());
    pod.on("close", () => client.destroy());
    client.on("close", () => pod.destroy());
    client.pipe(pod);
    pod.pipe(client);
  });
});
server.listen(socketPath, () => console.log("ready"));
