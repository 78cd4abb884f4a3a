import type { Leadership } from "../../control-plane/leadership/leadership.js";
import type { Observer } from "../../control-plane/membership/observer.js";
import type { WorkerHash } from "../../control-plane/membership/worker-hash.js";
import type { Planner } from "../../control-plane/planner/planner.js";
import type { SlotRowsCache } from "../../control-plane/planner/slot-rows-cache.js";
import type { NewestVersions } from "../../control-plane/publish/newest-versions.js";
import type { RingPublisher } from "../../control-plane/publish/ring-publisher.js";
import type { VersionFollower } from "../../core/versions/version-follower.js";
import type { Drain } from "../../worker/leaving/drain.js";
import type { Host } from "./host.js";

export interface WorkerParts {
  follower: VersionFollower;
  drain: Drain;
  host: Host;
}

export interface ControlPlaneParts {
  observer: Observer;
  newest: NewestVersions;
  publisher: RingPublisher;
  hash: WorkerHash;
  leadership: Leadership;
  planner: Planner;
  slotRows: SlotRowsCache;
}

/** A mistake planted into the product's parts, to see whether the simulation finds it. */
export interface Bug {
  name: string;
  sql: (text: string) => string;
  worker?: (parts: WorkerParts) => void;
  controlPlane?: (parts: ControlPlaneParts) => void;
}

export const NO_BUG: Bug = { name: "none", sql: (text) => text };
