import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { preparePostgresBinaries } from "../../../cli/stores/postgres-binaries.js";
import { ensureRedisServer } from "../../../cli/stores/redis-install.js";
import { debianPackage } from "../../harness/debian-package.js";
import { buildImage } from "../image-build.js";

/** What stands for an image: the machine's /usr, and this. */
export interface Image {
  /** [folder or file of the machine, path in the container]; read-only. */
  layers: [source: string, target: string][];
  workdir: string;
  env: Record<string, string>;
  /** Comes before a container's `args` where it sets no `command`. */
  entrypoint: string[];
}

const PATH = "/opt/postgres/bin:/opt/client/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** As whom the chart's store pods run. */
const STORE_ACCOUNT = { name: "postgres", uid: 999, gid: 999 };

/**
 * ringfleet's own images, built by their Dockerfiles' steps; Postgres by the embedded server and an entrypoint that
 * does what the official image's does; Redis by the machine's redis-server.
 */
export async function prepareImages(folder: string): Promise<(reference: string) => Image> {
  const log = () => undefined;
  const { postgres } = await preparePostgresBinaries(STORE_ACCOUNT, log);
  const client = await debianPackage("postgresql-client-15");
  const libpq = await debianPackage("libpq5");
  await ensureRedisServer({ log });
  const entrypoint = fileURLToPath(new URL("./postgres-entrypoint.sh", import.meta.url));
  const images = new Map<string, Image>();
  for (const component of ["control-plane", "worker"] as const) {
    const app = buildImage(`${component}/Dockerfile`, await emptyFolder(join(folder, component)));
    images.set(`ringfleet/${component}`, {
      layers: [[app, "/app"]],
      workdir: "/app",
      env: { PATH, NODE_ENV: "production", HOST: "0.0.0.0" },
      entrypoint: [],
    });
  }
  images.set("docker.io/library/postgres", {
    layers: [
      [dirname(dirname(postgres)), "/opt/postgres"],
      [join(client, "usr", "lib", "postgresql", "15"), "/opt/client"],
      [join(libpq, "usr", "lib", "x86_64-linux-gnu"), "/opt/libpq"],
      [entrypoint, "/opt/entrypoint.sh"],
    ],
    workdir: "/",
    env: { PATH },
    entrypoint: ["sh", "/opt/entrypoint.sh"],
  });
  images.set("docker.io/library/redis", { layers: [], workdir: "/", env: { PATH }, entrypoint: [] });
  return (reference) => {
    const image = images.get(reference.replace(/[:@].*$/, ""));
    if (image === undefined) throw new Error(`no image stands for ${reference}`);
    return image;
  };
}

async function emptyFolder(path: string): Promise<string> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o755);
  await writeFile(join(path, ".keep"), "");
  return path;
}
