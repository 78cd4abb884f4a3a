import { chmod, copyFile, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianPackage } from "./debian-package.js";

const LIBRARY = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Wall clocks only: monotonic ones, and with them timers, are those of the machine. */
const WALL_CLOCK_ONLY = { FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1" };

/** Environment of a process whose wall clock is off by so many seconds (Debian's libfaketime). */
export async function fakeTimeEnvironment(offsetSeconds: number): Promise<Record<string, string>> {
  const library = join(await debianPackage("libfaketime"), LIBRARY);
  return { LD_PRELOAD: library, FAKETIME: signed(offsetSeconds), ...WALL_CLOCK_ONLY };
}

/** A wall clock that a test sets while processes run on it. */
export interface FakeClock {
  env: Record<string, string>;
  /** From now on the clock is off by so many seconds, in all its processes at once. */
  set(offsetSeconds: number): Promise<void>;
  remove(): Promise<void>;
}

/** Readable by every user, as a Postgres started by root runs as another one. */
export async function startFakeClock(): Promise<FakeClock> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-clock-"));
  await chmod(folder, 0o755);
  const library = join(folder, "libfaketime.so.1");
  await copyFile(join(await debianPackage("libfaketime"), LIBRARY), library);
  const file = join(folder, "offset");
  const set = async (offsetSeconds: number) => {
    await writeFile(`${file}.next`, `${signed(offsetSeconds)}\n`, { mode: 0o644 });
    await rename(`${file}.next`, file);
  };
  await set(0);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // Otherwise each process would learn of a step at a time of its own.
      FAKETIME_NO_CACHE: "1",
      ...WALL_CLOCK_ONLY,
    },
    set,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What libfaketime keeps in shared memory for a process, and leaves behind where that is killed. */
export async function removeFakeTimeLeftovers(pid: number): Promise<void> {
  for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
    await rm(join("/dev/shm", name), { force: true });
  }
}

function signed(seconds: number): string {
  return `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}s`;
}
