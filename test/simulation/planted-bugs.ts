import type { Bug, ControlPlaneParts, WorkerParts } from "./bugs.js";

/** A planted mistake and the seed that first found it. */
export interface PlantedBug extends Bug {
  foundBySeed: number;
  /** The invariant that it violates there. */
  breaks: string;
}

const unchanged = (text: string) => text;
const inStatement = (sign: string, change: (text: string) => string) => (text: string) =>
  text.includes(sign) ? change(text) : text;
const inWork = (change: (text: string) => string) => inStatement("UPDATE work_items", change);
const inOpening = (change: (text: string) => string) => inStatement("INSERT INTO ticks", change);
const inPublish = (change: (text: string) => string) => inStatement("SELECT 'ring'", change);

/** A worker that takes any seat of its name for its own, whichever process sits in it. */
function sitsByName({ follower, host }: WorkerParts): void {
  const read = follower.ring.bind(follower);
  follower.ring = async (version, digest) => {
    const ring = await read(version, digest);
    const seat = ring.view.seats.find(({ worker }) => worker === host.name);
    const slotsOf = Object.getPrototypeOf(ring).slotsOf as (incarnation: number) => readonly number[];
    ring.slotsOf = () => slotsOf.call(ring, seat?.incarnation ?? 0);
    return ring;
  };
}

/** A worker that works under the newest config it has heard of, not the one sealed for the tick. */
function followsNewestConfig({ follower }: WorkerParts): void {
  const read = follower.config.bind(follower);
  const accept = follower.accept.bind(follower);
  let newest: { version: number; digest: string } | null = null;
  follower.accept = (document) => {
    const isNew = accept(document);
    if (document.kind === "config" && document.version > (newest?.version ?? 0)) newest = document;
    return isNew;
  };
  follower.config = (version, digest) => {
    const taken = newest !== null && newest.version > version ? newest : { version, digest };
    return read(taken.version, taken.digest).catch(() => read(version, digest));
  };
}

/** A worker that knows ring views by their number: what a lost history had under it is as good. */
function trustsNumbers({ follower }: WorkerParts): void {
  const read = follower.ring.bind(follower);
  const held = new Map<number, Awaited<ReturnType<typeof read>>>();
  follower.ring = async (version, digest) => {
    const ring = held.get(version) ?? (await read(version, digest));
    held.set(version, ring);
    return ring;
  };
}

/** A leader for whom nobody in Redis means nobody at all. */
function emptiesTheFleet({ hash, leadership, newest, publisher, slotRows }: ControlPlaneParts): void {
  const read = hash.read.bind(hash);
  hash.read = async (incarnations) => {
    const reading = await read(incarnations);
    const term = leadership.term();
    const counted = slotRows.newest;
    const seats = newest.ring?.snapshot.view.seats.length ?? 0;
    if (reading.beats.length === 0 && term !== null && counted !== null && seats > 0) {
      const decidedAt = Number.POSITIVE_INFINITY;
      const slotRows = counted.rows;
      await publisher.publish({ term, members: [], dead: [], reason: "leave", decidedAt, slotRows });
    }
    return reading;
  };
}

function ignoresEpochs({ hash }: ControlPlaneParts): void {
  const read = hash.read.bind(hash);
  hash.read = async (incarnations) => ({ ...(await read(incarnations)), epoch: 0 });
}

function forgetsNewerIncarnations({ observer }: ControlPlaneParts): void {
  observer.membership.newestOf = () => 0;
}

/** A leader that calls everybody dead who goes, so that nobody waits for them. */
function callsLeaversDead({ publisher, newest }: ControlPlaneParts): void {
  const publish = publisher.publish.bind(publisher);
  publisher.publish = (request) => {
    const staying = new Set(request.members.map((member) => member.incarnation));
    const seated = (newest.ring?.snapshot.view.seats ?? []).map((seat) => seat.incarnation);
    return publish({ ...request, dead: seated.filter((incarnation) => !staying.has(incarnation)) });
  };
}

function leavesAtOnce({ drain }: WorkerParts): void {
  drain.done = () => Promise.resolve(true);
}

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: "the work statement has no lasttick guard",
    sql: inWork((text) => text.replaceAll("lasttick < $2::timestamptz", "true")),
    foundBySeed: 6,
    breaks: "S1",
  },
  {
    name: "worked and proved by the newest view instead of the sealed tick",
    sql: (text) =>
      inWork((work) => work.replaceAll("FROM ticks WHERE tick = $2", "FROM newest_view WHERE $2"))(
        inOpening((open) => open.replace("FROM ticks ORDER BY tick DESC LIMIT 2", "FROM newest_view"))(text),
      ),
    foundBySeed: 18,
    breaks: "S2",
  },
  {
    name: "no proof at all",
    sql: inWork((text) => text.replaceAll("SELECT FROM ticks WHERE tick = $2", "SELECT")),
    foundBySeed: 183,
    breaks: "S2",
  },
  {
    name: "a successor overtakes a predecessor who is late",
    sql: inWork((text) =>
      text.replace(/ AND \(lasttick >= \$\d+::timestamptz OR lasttick = '-infinity'\)/, ""),
    ),
    foundBySeed: 18,
    breaks: "S4",
  },
  {
    name: "openers don't wait for each other: a tick is sealed from a stale read",
    sql: inOpening((text) => text.replace("pg_advisory_xact_lock", "no_lock")),
    foundBySeed: 71,
    breaks: "S6",
  },
  {
    name: "a tick opens before one that is open, where the clock stepped back",
    sql: inOpening((text) =>
      text.replace("AND t.tick > (SELECT coalesce(max(tick), '-infinity') FROM ticks)", ""),
    ),
    foundBySeed: 34,
    breaks: "S6",
  },
  { name: "a seat belongs to a name", sql: unchanged, worker: sitsByName, foundBySeed: 8, breaks: "S2" },
  {
    name: "a newer incarnation doesn't supersede the older one",
    sql: unchanged,
    controlPlane: forgetsNewerIncarnations,
    foundBySeed: 8,
    breaks: "S7",
  },
  {
    name: "publish doesn't check holder and term",
    sql: inPublish((text) => text.replace("holder = $1 AND term = $2 AND", "")),
    foundBySeed: 14,
    breaks: "S6",
  },
  {
    name: "publish doesn't hold the lease until its commit",
    sql: inPublish((text) => text.replace("FOR SHARE", "")),
    foundBySeed: 14,
    breaks: "S6",
  },
  {
    name: "publish builds on a stale view",
    sql: inPublish((text) =>
      text
        .replace("$3::bigint = (SELECT coalesce(max(version), 0)", "0 < (SELECT count(*)")
        .replace("$3::bigint + 1", "(SELECT max(version) + 1 FROM versions)"),
    ),
    foundBySeed: 14,
    breaks: "S6",
  },
  {
    name: "an election doesn't raise the term",
    sql: inStatement("UPDATE leadership", (text) => text.replace("term = term + 1,", "")),
    foundBySeed: 1,
    breaks: "S6",
  },
  {
    name: "an empty hash is an empty fleet",
    sql: unchanged,
    controlPlane: emptiesTheFleet,
    foundBySeed: 1,
    breaks: "L3",
  },
  {
    name: "silence is death, whatever Postgres says",
    sql: inStatement('AS "hasRows"', (text) => text.replaceAll("currentworker = $2", "false")),
    foundBySeed: 3,
    breaks: "L3",
  },
  {
    name: "silence counts through an outage of Redis",
    sql: unchanged,
    controlPlane: ignoresEpochs,
    foundBySeed: 9,
    breaks: "L3",
  },
  {
    name: "worked under the newest config instead of the sealed one",
    sql: inWork((text) => text.replaceAll(" AND config_digest = $6", "")),
    worker: followsNewestConfig,
    foundBySeed: 33,
    breaks: "S3",
  },
  {
    name: "a ring view is known by its number",
    sql: unchanged,
    worker: trustsNumbers,
    foundBySeed: 183,
    breaks: "S2",
  },
  {
    name: "leavers are called dead",
    sql: unchanged,
    controlPlane: callsLeaversDead,
    foundBySeed: 2,
    breaks: "L3",
  },
  {
    name: "a leaver doesn't wait for its handover",
    sql: unchanged,
    worker: leavesAtOnce,
    foundBySeed: 1,
    breaks: "S4",
  },
];
