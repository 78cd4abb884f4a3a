import { type ChildProcess, execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startWatchdog } from "../../../cli/stores/watchdog.js";
import type { Manifest } from "../rendering.js";
import type { Image } from "./images.js";
import { keep } from "./network.js";

const SCRIPT = fileURLToPath(new URL("./container-root.sh", import.meta.url));

export interface Mount {
  source: string;
  target: string;
  readOnly: boolean;
}

export interface ContainerOptions {
  spec: Manifest;
  /** Pod-level security context, which the container's own overrides. */
  podSecurity: Manifest;
  image: Image;
  env: Record<string, string>;
  mounts: readonly Mount[];
  /** A folder of its own on the machine. */
  folder: string;
  /** The process that keeps the pod's network. */
  networkPid: number;
}

/** One run of a container: a process in namespaces of its own, as process 1, as the user that the pod names. */
export class Container {
  readonly #options: ContainerOptions;
  readonly lines: string[] = [];
  readonly exited: Promise<number | null>;
  hasExited = false;
  #pid: number | null = null;

  private constructor(options: ContainerOptions, child: ChildProcess) {
    this.#options = options;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on("line", (line) => this.lines.push(line));
    }
    this.exited = once(child, "exit").then(([code]) => {
      this.hasExited = true;
      return code as number | null;
    });
  }

  static async start(options: ContainerOptions): Promise<Container> {
    const { folder, image, mounts, networkPid } = options;
    const root = join(folder, "root");
    const mountsFile = join(folder, "mounts");
    await mkdir(root, { recursive: true });
    const layers = image.layers.map(([source, target]) => `${source} ${target} ro`);
    const volumes = mounts.map(
      ({ source, target, readOnly }) => `${source} ${target} ${readOnly ? "ro" : "rw"}`,
    );
    await writeFile(mountsFile, `${[...layers, ...volumes].join("\n")}\n`);
    const child = keep(
      "nsenter",
      [
        ...["-t", String(networkPid), "-n", "unshare", "--mount", "--pid", "--fork"],
        ...["sh", SCRIPT, root, ...Container.#identity(options), ...Container.#command(options)],
      ],
      { PATH: process.env["PATH"], MOUNTS: mountsFile },
    );
    const container = new Container(options, child);
    container.#pid = await firstChildOf(child.pid ?? -1, () => container.hasExited);
    if (container.#pid !== null) {
      // With process 1 its whole namespace ends; a changed user has rid it of unshare's --kill-child.
      const watchdog = startWatchdog(container.#pid, null, { gentle: "KILL", harsh: "KILL" });
      void container.exited.then(() => watchdog.release());
    }
    return container;
  }

  get name(): string {
    return this.#options.spec["name"];
  }

  /** Of process 1, as the machine sees it; null where it ended at once. */
  get pid(): number | null {
    return this.#pid;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.hasExited || this.#pid === null) return;
    try {
      process.kill(this.#pid, signal);
    } catch {
      // It has ended in this moment.
    }
  }

  /** Runs a command inside; resolves to whether it succeeded within `timeoutMs`. */
  async exec(command: readonly string[], timeoutMs: number): Promise<boolean> {
    if (this.#pid === null || this.hasExited) return false;
    const [uid = "0", gid = "0"] = Container.#identity(this.#options);
    const inside = [
      "-t",
      String(this.#pid),
      "-m",
      "-p",
      "-n",
      "-r",
      "setpriv",
      "--reuid",
      uid,
      "--regid",
      gid,
    ];
    const { env, image } = this.#options;
    const setting = ["-i", "-C", image.workdir, ...environment(env, image)];
    const args = [...inside, "--clear-groups", "env", ...setting, ...command];
    return await new Promise((resolve) => {
      execFile("nsenter", args, { timeout: timeoutMs }, (error) => resolve(error === null));
    });
  }

  static #identity({ spec, podSecurity }: ContainerOptions): string[] {
    const security = { ...podSecurity, ...spec["securityContext"] };
    if (security.runAsNonRoot !== true || !(security.runAsUser > 0))
      throw new Error(`${spec["name"]} runs as root`);
    if (security.readOnlyRootFilesystem !== true) throw new Error(`${spec["name"]}'s root is writable`);
    return [String(security.runAsUser), String(security.runAsGroup), String(security.fsGroup ?? "-")];
  }

  static #command({ spec, image, env }: ContainerOptions): string[] {
    const command: string[] = spec["command"] ?? image.entrypoint;
    return ["-C", image.workdir, ...environment(env, image), ...command, ...(spec["args"] ?? [])];
  }
}

function environment(env: Record<string, string>, image: Image): string[] {
  return Object.entries({ ...image.env, ...env }).map(([name, value]) => `${name}=${value}`);
}

async function firstChildOf(pid: number, hasEnded: () => boolean): Promise<number | null> {
  while (!hasEnded()) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    const first = Number(children.split(" ")[0]);
    if (first > 0) return first;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return null;
}
