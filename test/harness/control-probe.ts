import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type pg from "pg";

/** A process and a connection of its own that does each tick what a worker must at least do. */
export class ControlProbe {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(databaseUrl: string, tickMs = 1000): Promise<ControlProbe> {
    const child = spawn(process.execPath, [fileURLToPath(new URL("./probe.mjs", import.meta.url))], {
      env: { PATH: process.env["PATH"] ?? "", DATABASE_URL: databaseUrl, TICK_MS: String(tickMs) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout ?? child, "data");
    return new ControlProbe(child);
  }

  /** Ticks of a window (epoch ms, both ends included) that the machine missed: the probe wasn't served in them. */
  async missed(
    client: pg.ClientBase,
    window: { from: number; to: number; tickMs?: number },
  ): Promise<Set<number>> {
    const tickMs = window.tickMs ?? 1000;
    const { rows } = await client.query<{ tick: number; late: number }>(
      `SELECT (extract(epoch FROM tick) * 1000)::float8 AS tick,
              (extract(epoch FROM at - tick) * 1000)::float8 AS late FROM probe`,
    );
    const served = new Map(rows.map((row) => [row.tick, row.late]));
    const missed = new Set<number>();
    for (let tick = window.from; tick <= window.to; tick += tickMs) {
      if ((served.get(tick) ?? Number.POSITIVE_INFINITY) > tickMs) missed.add(tick);
    }
    return missed;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }
}
