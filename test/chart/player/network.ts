import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startWatchdog } from "../../../cli/stores/watchdog.js";

const run = promisify(execFile);
const GATEWAY = "10.77.0.1";

/** The network of one pod: a namespace of its own, kept by a process that does nothing else. */
export interface PodNetwork {
  ip: string;
  /** Of the process that keeps it. */
  pid: number;
  remove(): Promise<void>;
}

/**
 * A network that only this test knows: one namespace for each pod, joined by a bridge in a further one. Nothing
 * of it is to be seen on the machine's own network.
 */
export class Network {
  readonly #folder: string;
  readonly #bridge: ChildProcess;
  readonly #doors = new Map<string, Server>();
  #pods = 1;

  private constructor(folder: string, bridge: ChildProcess) {
    this.#folder = folder;
    this.#bridge = bridge;
  }

  static async start(folder: string): Promise<Network> {
    const script = fileURLToPath(new URL("./forwarder.mjs", import.meta.url));
    const socket = join(folder, "forwarder");
    const bridge = keep("unshare", ["--net", process.execPath, script, socket, GATEWAY]);
    await once(bridge.stdout ?? bridge, "data");
    const network = new Network(folder, bridge);
    await writeFile(network.hostsFile, "127.0.0.1 localhost\n");
    return network;
  }

  /** What every container sees as /etc/hosts: it stands for the cluster's DNS. */
  get hostsFile(): string {
    return join(this.#folder, "hosts");
  }

  /** In place: containers have mounted this very file. */
  async setNames(names: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const lines = [...names].flatMap(([name, ips]) => ips.map((ip) => `${ip} ${name}`));
    await writeFile(this.hostsFile, `${["127.0.0.1 localhost", ...lines].join("\n")}\n`);
  }

  async addPod(): Promise<PodNetwork> {
    this.#pods += 1;
    const number = this.#pods;
    const ip = `10.77.${Math.floor(number / 250)}.${(number % 250) + 2}`;
    const pause = keep("unshare", ["--net", "sh", "-c", "echo ready; exec sleep infinity"]);
    await once(pause.stdout ?? pause, "data");
    const pid = pause.pid ?? -1;
    const ended = once(pause, "exit");
    const inBridge = (...args: string[]) =>
      run("nsenter", ["-t", String(this.#bridge.pid), "-n", "ip", ...args]);
    const inPod = (...args: string[]) => run("nsenter", ["-t", String(pid), "-n", "ip", ...args]);
    await inBridge(
      "link",
      "add",
      `pod${number}`,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      String(pid),
    );
    await inBridge("link", "set", `pod${number}`, "master", "bridge", "up");
    await inPod("link", "set", "lo", "up");
    await inPod("addr", "add", `${ip}/16`, "dev", "eth0");
    await inPod("link", "set", "eth0", "up");
    return {
      ip,
      pid,
      remove: async () => {
        pause.kill("SIGKILL");
        await ended;
      },
    };
  }

  /** A port of this machine's loopback that leads to a pod's. */
  async open(ip: string, port: number): Promise<number> {
    const key = `${ip} ${port}`;
    let door = this.#doors.get(key);
    if (door === undefined) {
      door = createServer((client) => {
        const pod = connect(join(this.#folder, "forwarder"));
        for (const socket of [client, pod]) socket.on("error", () => undefined);
        pod.on("close", () => client.destroy());
        client.on("close", () => pod.destroy());
        pod.write(`${key}\n`);
        client.pipe(pod);
        pod.pipe(client);
      });
      this.#doors.set(key, door);
      door.listen(0, "127.0.0.1");
      await once(door, "listening");
    }
    return (door.address() as AddressInfo).port;
  }

  /** A process of the test's that lives among the pods, as one of the cluster's own does. */
  spawnInside(command: string, args: readonly string[]): ChildProcess {
    return keep("nsenter", ["-t", String(this.#bridge.pid), "-n", command, ...args]);
  }

  get gateway(): string {
    return GATEWAY;
  }

  async stop(): Promise<void> {
    for (const door of this.#doors.values()) door.close();
    this.#bridge.kill("SIGKILL");
    await once(this.#bridge, "exit");
  }
}

/** Spawns a process that doesn't outlive this one, however this one ends. */
export function keep(command: string, args: readonly string[], env = process.env): ChildProcess {
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  child.stderr?.resume();
  const watchdog = startWatchdog(child.pid ?? -1, null, { gentle: "KILL", harsh: "KILL" });
  child.once("exit", () => void watchdog.release());
  return child;
}
