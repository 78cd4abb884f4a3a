import { spawn } from "node:child_process";

/** Runs one command with its output shown. Resolves to whether it succeeded. */
export function run(command, args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, ...env } });
    child.once("error", () => resolve(false));
    child.once("exit", (code, signal) => {
      if (signal !== null) console.log(`${command} was ended by ${signal}`);
      resolve(code === 0);
    });
  });
}

/** Runs steps [name, command, args] one after the other, all of them, and tells which failed. */
export async function runSteps(steps) {
  const passed = [];
  const failed = [];
  for (const [name, command, args] of steps) {
    const startedAt = performance.now();
    const ok = await run(command, args);
    (ok ? passed : failed).push(name);
    console.log(
      `${ok ? "ok" : "FAILED"}: ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
    );
  }
  return { passed, failed };
}
