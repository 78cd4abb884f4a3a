import { expect, test } from "vitest";
import { LogView } from "../../../../cli/fleet/log-view.js";

function view(options: { isColored?: boolean; json?: boolean } = {}): { view: LogView; lines: string[] } {
  const lines: string[] = [];
  const write = (text: string) => lines.push(text);
  return { view: new LogView({ write, isColored: false, json: false, ...options }), lines };
}

test("a process's JSON becomes one line: clock, name, message", () => {
  const { view: shown, lines } = view();
  shown.line("worker-1", '{"level":"info","time":"2026-11-21T05:00:00.000Z","msg":"took a seat"}');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^\d\d:00:00 {2}worker-1 {5}took a seat\n$/);
});

test("anything else a process prints is shown as it is; an error with its reason", () => {
  const { view: shown, lines } = view();
  shown.line("worker-1", "Segmentation fault");
  shown.line("worker-1", '{"level":"fatal","msg":"unexpected failure","err":{"message":"no luck"}}');
  expect(lines[0]).toContain("Segmentation fault");
  expect(lines[1]).toContain("unexpected failure: no luck");
});

test("a dozen ids are shown whole, more are shortened", () => {
  const id = "3f0c2a4e-1111-4222-8333-444455556666";
  const line = (count: number) =>
    JSON.stringify({
      level: "info",
      watching: Array(count).fill(id),
      msg: `watching ${count} work items: …`,
    });
  const { view: shown, lines } = view();
  shown.line("worker-1", line(12));
  shown.line("worker-1", line(13));
  expect(lines[0]).toContain("watching 12 work items: …");
  expect(lines[1]).toContain(`watching 13 work items: ${Array(13).fill("3f0c2a4e").join(" ")}`);
});

test("with --json every line is a JSON object that names its process, whatever it was", () => {
  const { view: shown, lines } = view({ json: true });
  shown.line("worker-1", '{"level":"info","msg":"x","watching":["a"]}');
  shown.line("worker-1", "no JSON");
  shown.say("hello");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { process: "worker-1", level: "info", msg: "x", watching: ["a"] },
    { process: "worker-1", msg: "no JSON" },
    { process: "ringfleet", level: "info", msg: "hello" },
  ]);
});

test("colours only where asked for; each process keeps its own", () => {
  const colored = view({ isColored: true });
  colored.view.line("worker-1", "a");
  colored.view.line("worker-2", "a");
  colored.view.line("worker-1", "a");
  const escapes = colored.lines.map((line) => line.split("worker-")[0]?.slice(-5));
  expect(escapes[0]).toMatch(/\[3\dm$/);
  expect(escapes[1]).not.toBe(escapes[0]);
  expect(escapes[2]).toBe(escapes[0]);
  const plain = view();
  plain.view.line("worker-1", "a");
  expect(plain.lines[0]).not.toContain("\x1b");
});
