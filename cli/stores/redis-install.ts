import { execFile } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { RedisMissingError } from "./store-errors.js";

const run = promisify(execFile);

const INSTALL_TIMEOUT_MS = 300_000;
const PACKAGE_MANAGERS = ["apt-get", "dnf", "apk", "brew"] as const;
type PackageManager = (typeof PACKAGE_MANAGERS)[number];

/** The command that a person would type. */
const INSTALL_COMMANDS: Record<PackageManager, string> = {
  "apt-get": "apt-get install -y redis-server",
  dnf: "dnf install -y valkey",
  apk: "apk add redis",
  brew: "brew install redis",
};

// Only the binary is wanted. Debian's package would start a Redis on 6379, now and at each boot: the
// policy file keeps it from starting now (one that is there already, as in Docker, is left alone unless an
// earlier run of this script was killed before it could remove its own); `disable` does so at boot.
const APT_SCRIPT = `
set -eu
policy=/usr/sbin/policy-rc.d
mark='# placed by ringfleet for the moment of an installation'
if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
  trap 'rm -f "$policy"' EXIT
  trap 'exit 1' INT TERM HUP
  printf '#!/bin/sh\\n%s\\nexit 101\\n' "$mark" > "$policy"
  chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
quick='-o DPkg::Lock::Timeout=120 -o Acquire::Retries=2 -o Acquire::http::Timeout=30'
install() { apt-get $quick install -y --no-install-recommends "$1"; }
install redis-server || { apt-get $quick update && { install redis-server || install valkey-server; }; }
if command -v systemctl > /dev/null; then
  systemctl disable redis-server || systemctl disable valkey-server || true
fi
`;

type InstallPlan = { kind: "install"; asRoot: "already" | "sudo" } | { kind: "tell"; command: string | null };

/** Install by ourselves where that needs nobody's consent; else the command to tell the user. */
export function planInstall(system: {
  packageManager: PackageManager | null;
  isRoot: boolean;
  hasPasswordlessSudo: boolean;
}): InstallPlan {
  const { packageManager, isRoot, hasPasswordlessSudo } = system;
  if (packageManager === null) return { kind: "tell", command: null };
  if (packageManager === "apt-get" && isRoot) return { kind: "install", asRoot: "already" };
  if (packageManager === "apt-get" && hasPasswordlessSudo) return { kind: "install", asRoot: "sudo" };
  const needsSudo = packageManager !== "brew" && !isRoot;
  return { kind: "tell", command: `${needsSudo ? "sudo " : ""}${INSTALL_COMMANDS[packageManager]}` };
}

/** The path of redis-server, else of valkey-server, from PATH; null where there is neither. */
async function findRedisServer(): Promise<string | null> {
  return (await findCommand("redis-server")) ?? (await findCommand("valkey-server"));
}

/**
 * The path of a redis-server or valkey-server, installed first where it is missing and that needs no
 * password.
 * @throws RedisMissingError with one line that names the command to run
 */
export async function ensureRedisServer(options: { log: (line: string) => void }): Promise<string> {
  const found = await findRedisServer();
  if (found !== null) return found;
  const packageManager = await findPackageManager();
  const plan = planInstall({
    packageManager,
    isRoot: process.geteuid?.() === 0,
    hasPasswordlessSudo: packageManager === "apt-get" && (await hasPasswordlessSudo()),
  });
  if (plan.kind === "tell") {
    const advice = plan.command === null ? "install Redis (or Valkey)" : `run: ${plan.command}`;
    throw new RedisMissingError(`redis-server is missing: ${advice}, or set REDIS_URL`);
  }
  const byHand = `${plan.asRoot === "sudo" ? "sudo " : ""}${INSTALL_COMMANDS["apt-get"]}`;
  options.log(`redis-server is missing: installing it (${byHand})`);
  const [command, args] = plan.asRoot === "sudo" ? ["sudo", ["-n", "/bin/sh"]] : ["/bin/sh", []];
  try {
    await run(command as string, [...(args as string[]), "-c", APT_SCRIPT], { timeout: INSTALL_TIMEOUT_MS });
  } catch (cause) {
    throw new RedisMissingError(
      `redis-server is missing and installing it failed (${explain(cause)}): run: ${byHand}, or set REDIS_URL`,
      { cause },
    );
  }
  const installed = await findRedisServer();
  if (installed === null) {
    throw new RedisMissingError(`redis-server was installed but is not in PATH (${process.env["PATH"]})`);
  }
  return installed;
}

/** The reason in one line: apt's first error line where it gave one. */
function explain(error: unknown): string {
  const { stderr = "", message = String(error) } = error as { stderr?: string; message?: string };
  const reason = stderr.split("\n").find((line) => line.startsWith("E:"));
  return (reason ?? message.split("\n", 1)[0] ?? "").trim();
}

async function findPackageManager(): Promise<PackageManager | null> {
  for (const name of PACKAGE_MANAGERS) if ((await findCommand(name)) !== null) return name;
  return null;
}

async function hasPasswordlessSudo(): Promise<boolean> {
  return await run("sudo", ["-n", "true"]).then(
    () => true,
    () => false,
  );
}

async function findCommand(name: string): Promise<string | null> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    const isCommand = await access(path, constants.X_OK)
      .then(() => stat(path))
      .then(
        (found) => found.isFile(),
        () => false,
      );
    if (isCommand) return path;
  }
  return null;
}
