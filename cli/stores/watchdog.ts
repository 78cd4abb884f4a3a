import { spawn } from "node:child_process";
import type { Account } from "./postgres-account.js";

// A shell rather than a Node process: it must be there for as long as the server is, and costs 1 MB.
// Its stdin is a pipe that only the owner holds. A line means "the server is gone, so may you be"; the
// end of the pipe without a line means that the owner died, by kill -9 too.
const SCRIPT = `
if read -r released; then exit 0; fi
kill -"$2" "$1" 2>/dev/null || exit 0
tenths=0
while kill -0 "$1" 2>/dev/null; do
  tenths=$((tenths + 1))
  if [ "$tenths" -ge 50 ]; then kill -"$3" "$1" 2>/dev/null; exit 0; fi
  sleep 0.1
done
`;

export interface Watchdog {
  /** Ends the watchdog; call it once the server has exited. Resolves when the watchdog has, too. */
  release(): Promise<void>;
}

/**
 * Watches over a server on behalf of this process: when this process ends in any way, the server gets
 * `gentle`, and 5 s later `harsh` (signal names without SIG).
 */
export function startWatchdog(
  serverPid: number,
  account: Account | null,
  signals: { gentle: string; harsh: string },
): Watchdog {
  const child = spawn(
    "/bin/sh",
    ["-c", SCRIPT, "ringfleet-watchdog", String(serverPid), signals.gentle, signals.harsh],
    {
      cwd: "/",
      // Its own session: Ctrl-C in the terminal must not end it before its owner.
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
    },
  );
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  // Somebody may have killed the watchdog: then there is nobody to tell.
  child.stdin.on("error", () => {});
  // It must not keep its owner alive: the owner's end is what it waits for.
  child.unref();
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return {
    release: async () => {
      child.stdin.end("released\n");
      await ended;
    },
  };
}
