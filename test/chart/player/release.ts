import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { startClusterStub } from "../cluster-stub.js";
import { helmBinary } from "../helm-binary.js";
import { CHART, type Manifest } from "../rendering.js";

/** What `helm upgrade --install fleet` would send, having looked up what is there: passwords survive. */
export async function renderUpgrade(
  present: readonly Manifest[],
  values: Readonly<Record<string, string>>,
): Promise<Manifest[]> {
  const folder = await mkdtemp(join(tmpdir(), "ringfleet-helm-"));
  const stub = await startClusterStub();
  try {
    stub.objects.push(...present);
    const kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, stub.kubeconfig);
    const args = ["template", "fleet", CHART, "--namespace", "work", "--is-upgrade", "--dry-run=server"];
    const sets = Object.entries(values).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    const { stdout } = await promisify(execFile)(
      helmBinary(),
      [...args, "--disable-openapi-validation", ...sets],
      {
        env: { ...process.env, KUBECONFIG: kubeconfig },
        maxBuffer: 10_000_000,
      },
    );
    return parseAllDocuments(stdout).flatMap((document) => (document.toJS() as Manifest | null) ?? []);
  } finally {
    await stub.stop();
    await rm(folder, { recursive: true, force: true });
  }
}
