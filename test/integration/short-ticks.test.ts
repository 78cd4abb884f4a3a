import { afterAll, beforeAll, expect, test } from "vitest";
import { waitFor } from "../harness/fleet.js";
import { withFleet } from "../harness/fleet-test.js";
import { startTestStores, type TestStores } from "../harness/stores.js";

let stores: TestStores;

beforeAll(async () => {
  stores = await startTestStores();
});

afterAll(async () => {
  await stores.close();
});

test("ticks of 250 ms: kill -9 is seen before silence alone would tell", async () => {
  await withFleet(stores, { rows: 90, config: { tickMs: 250 } }, async ({ fleet }) => {
    fleet.controlPlane("control-1");
    const workers = fleet.workers(3);
    await fleet.untilSeated(["worker-1", "worker-2", "worker-3"]);
    const killed = workers[1];
    await fleet.untilTick(await fleet.newestTick());
    killed?.signal("SIGKILL");
    const killedAt = Date.now();
    await fleet.untilSeated(["worker-1", "worker-3"]);
    const death = await waitFor(
      "the view without the dead",
      async () => (await fleet.ringVersions()).find(({ reason }) => reason === "death"),
      5000,
    );
    console.log(`view without the dead after ${Math.round(death.at - killedAt)} ms`);
    expect(death.at - killedAt, "ms from kill to view").toBeLessThan(1400);
  });
});
