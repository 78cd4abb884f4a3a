import { pino } from "pino";
import { expect, it } from "vitest";
import { Outage } from "../../../../core/lifecycle/outage.js";

function outageOf(dependency: "Postgres" | "Redis") {
  const said: string[] = [];
  const write = (line: string) => void said.push((JSON.parse(line) as { msg: string }).msg);
  return { said, outage: new Outage(dependency, pino({}, { write })) };
}

const refused = new Error("connect ECONNREFUSED");
const untrusted = Object.assign(new Error("self-signed certificate in certificate chain"), {
  code: "SELF_SIGNED_CERT_IN_CHAIN",
});

it("is told once, and so is its end", () => {
  const { said, outage } = outageOf("Postgres");
  outage.over();
  for (let i = 0; i < 3; i++) outage.failed(refused);
  outage.over();
  outage.over();
  expect(said).toEqual([
    "Postgres fails: connect ECONNREFUSED; work resumes by itself when it is back",
    "Postgres is back",
  ]);
});

it("what somebody has to put right is told also where it comes to light later, once", () => {
  const { said, outage } = outageOf("Redis");
  outage.failed(refused);
  for (const error of [untrusted, refused, untrusted]) outage.failed(error);
  expect(said).toHaveLength(2);
  expect(said[1]).toMatch(/self-signed certificate .*; REDIS_TLS_CA_FILE must hold the CA .*; work goes on/);
  outage.over();
  outage.failed(untrusted);
  expect(said).toHaveLength(4);
});
