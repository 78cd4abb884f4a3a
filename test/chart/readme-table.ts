import { isMap, isPair, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

const MARK = "# -- ";

/** A value of values.yaml, as README.md's table shows it. */
export interface DocumentedValue {
  path: string;
  default: string;
  description: string;
}

/** Every value, in the file's order. Throws where one has no `# --` comment, itself or above it. */
export function documentedValues(valuesYaml: string): DocumentedValue[] {
  const document = parseDocument(valuesYaml);
  if (!isMap(document.contents)) throw new Error("values.yaml holds no map");
  return collect(document.contents, "", valuesYaml);
}

function collect(map: YAMLMap, prefix: string, text: string): DocumentedValue[] {
  return map.items.flatMap((pair) => {
    if (!isPair(pair) || !isScalar(pair.key)) throw new Error(`${prefix}: a key that is no scalar`);
    const path = `${prefix}${String(pair.key.value)}`;
    const description = commentAbove(pair, text);
    const nested = isMap(pair.value) && pair.value.items.length > 0 ? pair.value : null;
    const inner = nested === null ? [] : tryCollect(nested, `${path}.`, text, description !== null);
    if (inner.length > 0) return inner;
    if (description === null) throw new Error(`${path} has no comment that starts with "${MARK}"`);
    return [{ path, default: JSON.stringify((pair.value as { toJSON(): unknown }).toJSON()), description }];
  });
}

/** Below a described map, values need no description of their own: the map is shown as a whole then. */
function tryCollect(map: YAMLMap, prefix: string, text: string, isDescribed: boolean): DocumentedValue[] {
  const someDescribed = map.items.some((pair) => commentAbove(pair, text) !== null);
  return isDescribed && !someDescribed ? [] : collect(map, prefix, text);
}

/** The `# --` comment in the lines right above a key. */
function commentAbove(pair: Pair, text: string): string | null {
  const range = isScalar(pair.key) ? pair.key.range : undefined;
  if (range === undefined || range === null) return null;
  const above = text.slice(0, range[0]).split("\n").slice(0, -1);
  const line = above[above.length - 1]?.trim() ?? "";
  return line.startsWith(MARK) ? line.slice(MARK.length) : null;
}

export function renderTable(values: DocumentedValue[]): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  return [
    "| value | default | what it says |",
    "|---|---|---|",
    ...values.map((each) => `| \`${each.path}\` | \`${cell(each.default)}\` | ${cell(each.description)} |`),
  ].join("\n");
}
