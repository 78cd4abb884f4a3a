import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { documentedValues, renderTable } from "../../chart/readme-table.js";
import { CHART } from "../../chart/rendering.js";

const REGENERATE = "UPDATE=1 npx vitest run --project unit test/unit/chart/readme.test.ts";
const README = join(CHART, "README.md");
const TABLE = /(?<=<!-- values -->\n)[\s\S]*(?=<!-- \/values -->)/;

const values = documentedValues(readFileSync(join(CHART, "values.yaml"), "utf8"));

it(`README.md's table is what values.yaml says (else run: ${REGENERATE})`, () => {
  const readme = readFileSync(README, "utf8");
  const expected = readme.replace(TABLE, () => `${renderTable(values)}\n`);
  expect(readme).toMatch(TABLE);
  if (process.env["UPDATE"] === "1") writeFileSync(README, expected);
  expect(readFileSync(README, "utf8")).toBe(expected);
});

it("the schema knows every value", () => {
  const schema = JSON.parse(readFileSync(join(CHART, "values.schema.json"), "utf8"));
  for (const { path } of values) {
    let node = schema;
    for (const key of path.split(".")) {
      if (node.$ref !== undefined) node = schema.definitions[node.$ref.replace("#/definitions/", "")];
      node = node.properties?.[key];
      expect(node, path).toBeDefined();
    }
  }
});

it("a value without a comment is told", () => {
  expect(() => documentedValues("# -- Known.\na: 1\nb: 2\n")).toThrow("b has no comment");
});
