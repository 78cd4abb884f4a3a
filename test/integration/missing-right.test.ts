import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../harness/fleet.js";
import { withFleet } from "../harness/fleet-test.js";
import { query } from "../harness/store-clients.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;
beforeAll(async () => {
  stores = await startTestStores();
});
afterAll(async () => {
  await stores.close();
});

test("a right that the control plane lacks is told once, and once more when it has it", async () => {
  await query(stores.databaseUrl, "CREATE ROLE limited LOGIN PASSWORD 'limited'");
  const options = {
    rows: 20,
    databaseLink: (url: string) => {
      const limited = new URL(url);
      limited.username = "limited";
      limited.password = "limited";
      return limited.href;
    },
  };
  await withFleet(stores, options, async ({ fleet }) => {
    await fleet.client.query(`
      GRANT ALL ON ALL TABLES IN SCHEMA public TO limited;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited;
      REVOKE SELECT ON work_items FROM limited`);
    const control = fleet.controlPlane("control-1");
    await waitFor("a word about it", () => control.find(/permission denied/), 10_000, control);
    // Several rounds of every loop.
    await sleep(7000);
    await fleet.client.query("GRANT SELECT ON work_items TO limited");
    await waitFor("its end", () => control.find(/^can .* again$/), 10_000, control);
    const told = control.lines.map(({ msg }) => msg).filter((msg) => /Postgres|can't|again/.test(msg));
    expect(told).toEqual([
      "can't count the rows of each slot: permission denied for table work_items; tried again till it works",
      "can count the rows of each slot again",
    ]);
  });
});
