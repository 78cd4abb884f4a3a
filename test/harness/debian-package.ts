import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectRoot } from "../../core/project-root.js";

const run = promisify(execFile);
const DOWNLOAD_TIMEOUT_MS = 300_000;

/**
 * The folder into which Debian's package `name` is unpacked, fetched first where it isn't there yet. Nothing is
 * installed on the machine: apt-get fetches the file, dpkg unpacks it below node_modules/.cache.
 * @throws Error with the command to run by hand, where there is no apt-get or it can't fetch
 */
export async function debianPackage(name: string): Promise<string> {
  const cache = join(projectRoot(), "node_modules", ".cache", "ringfleet", "debian");
  const place = join(cache, name);
  if (await exists(place)) return place;
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(join(cache, `${name}.draft-`));
  try {
    await fetchPackage(name, draft);
    const file = (await readdir(draft)).find((candidate) => candidate.endsWith(".deb"));
    await run("dpkg", ["-x", join(draft, file ?? "missing.deb"), join(draft, "unpacked")]);
    await rename(join(draft, "unpacked"), place).catch(async (error: unknown) => {
      // Another test run was faster.
      if (!(await exists(place))) throw error;
    });
  } catch (cause) {
    throw new Error(
      `Debian's package ${name} is needed here; see whether this works: apt-get download ${name}`,
      {
        cause,
      },
    );
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return place;
}

async function fetchPackage(name: string, folder: string): Promise<void> {
  const download = () =>
    run("apt-get", ["-o", "APT::Sandbox::User=root", "download", name], {
      cwd: folder,
      timeout: DOWNLOAD_TIMEOUT_MS,
    });
  try {
    await download();
  } catch {
    // A bare machine has no package lists yet; only root may fetch them.
    const quick = ["-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=2", "update"];
    await run("apt-get", quick, { timeout: DOWNLOAD_TIMEOUT_MS });
    await download();
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
