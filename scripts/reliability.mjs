// What `npm run faults` and `npm run soak` measured goes into docs/reliability.md, each into its own section.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";

const PAGE = "docs/reliability.md";

/** Day and machine of a run. */
export const setting = () =>
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;

/** A file in which tests note figures, and what stands in it. */
export function measurements() {
  const folder = mkdtempSync(join(tmpdir(), "ringfleet-measured-"));
  const file = join(folder, "measured.jsonl");
  writeFileSync(file, "");
  return {
    file,
    /** Rows of a table, each `{ fault, figure }`; the file is gone afterwards. */
    take: () => {
      const lines = readFileSync(file, "utf8").split("\n").filter(Boolean);
      rmSync(folder, { recursive: true, force: true });
      return lines.map((line) => JSON.parse(line));
    },
  };
}

/** Puts `text` between the marks of section `name`. */
export function writeSection(name, text) {
  const page = readFileSync(PAGE, "utf8");
  const marks = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`);
  if (!marks.test(page)) throw new Error(`${PAGE} has no section ${name}`);
  writeFileSync(
    PAGE,
    page.replace(marks, (_, open, close) => `${open}${text.trim()}\n${close}`),
  );
}
