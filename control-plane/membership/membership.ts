import type { Heartbeat } from "../../core/heartbeat.js";

/** What one look at the hash found. */
export interface Reading {
  /** All heartbeats of the hash, of whatever fleet. */
  beats: readonly Heartbeat[];
  /** Grows whenever the connection to Redis broke or a look failed: silence before it counts for nothing. */
  epoch: number;
  /** Incarnations whose `alive:` channel has a subscriber; null where that wasn't read. */
  subscribed: ReadonlySet<number> | null;
}

/** One incarnation of a worker, as this replica has seen it. All times are this replica's monotonic clock, ms. */
export interface Member {
  name: string;
  incarnation: number;
  /** Null where it is only known from its seat. */
  heartbeat: Heartbeat | null;
  /** Since when it has been there: first seen, or back after a silence. */
  presentSince: number;
  /** Whether the newest look found its field in the hash. */
  inHash: boolean;
  /** When its beat number last changed, or it was last excused by a gap in our own view of Redis. */
  beatAt: number;
  /** Different beats seen. */
  beats: number;
  /** How often others have finished a newer tick since it last finished one, and when they first did. */
  missedAdvances: number;
  missedSince: number;
  /** Since when its `alive:` channel, seen before, has had no subscriber; null while it has one or never had. */
  unsubscribedAt: number | null;
  wasSubscribed: boolean;
}

/**
 * Who is there, told from nothing but looks at the hash and the moment of each look. No I/O, no clock of its own.
 */
export class Membership {
  readonly #fleet: string;
  readonly #deadAfterMs: number;
  readonly #members = new Map<number, Member>();
  #foreign = new Map<string, string>();
  #epoch: number | null = null;

  /** Whoever beats again after `deadAfterMs` of silence counts as come anew. */
  constructor(fleet: string, deadAfterMs: number) {
    this.#fleet = fleet;
    this.#deadAfterMs = deadAfterMs;
  }

  /** Takes in one look at the hash, at `now`. */
  observe(reading: Reading, now: number): void {
    if (reading.epoch !== this.#epoch) this.#excuseAll(now);
    this.#epoch = reading.epoch;
    this.#foreign = new Map();
    const before = this.#newestTick();
    for (const member of this.#members.values()) member.inHash = false;
    for (const beat of reading.beats) {
      if (beat.fleet !== this.#fleet) this.#foreign.set(beat.name, beat.fleet);
      else this.#takeBeat(beat, now);
    }
    const newest = this.#newestTick();
    if (newest > before) this.#countMissed(newest, now);
    if (reading.subscribed !== null) {
      for (const member of this.#members.values()) takeSubscription(member, reading.subscribed, now);
    }
  }

  /** A seat's holder is known even while it doesn't beat: from now on its silence counts. */
  expect(name: string, incarnation: number, now: number): Member {
    const known = this.#members.get(incarnation);
    if (known !== undefined) return known;
    const member: Member = {
      name,
      incarnation,
      heartbeat: null,
      presentSince: now,
      inHash: false,
      beatAt: now,
      beats: 0,
      missedAdvances: 0,
      missedSince: now,
      unsubscribedAt: null,
      wasSubscribed: false,
    };
    this.#members.set(incarnation, member);
    return member;
  }

  forget(incarnation: number): void {
    this.#members.delete(incarnation);
  }

  all(): Member[] {
    return [...this.#members.values()].sort((a, b) => a.incarnation - b.incarnation);
  }

  get(incarnation: number): Member | undefined {
    return this.#members.get(incarnation);
  }

  /** Workers of other fleets that share this Redis: name → fleet. */
  get foreign(): ReadonlyMap<string, string> {
    return this.#foreign;
  }

  /** The newest incarnation known under a name. */
  newestOf(name: string): number {
    let newest = 0;
    for (const member of this.#members.values()) {
      if (member.name === name && member.heartbeat !== null) newest = Math.max(newest, member.incarnation);
    }
    return newest;
  }

  #takeBeat(beat: Heartbeat, now: number): void {
    const member = this.expect(beat.name, beat.incarnation, now);
    member.inHash = true;
    const before = member.heartbeat;
    if (before === null || before.beat !== beat.beat) {
      if (now - member.beatAt >= this.#deadAfterMs) {
        member.presentSince = now;
        member.beats = 0;
      }
      member.beats += 1;
      member.beatAt = now;
    }
    if ((before?.lastTick ?? null) !== beat.lastTick) member.missedAdvances = 0;
    member.heartbeat = beat;
  }

  /** The newest tick that anybody says to have finished, epoch ms; 0 before the first. */
  #newestTick(): number {
    let newest = 0;
    for (const { heartbeat } of this.#members.values()) newest = Math.max(newest, heartbeat?.lastTick ?? 0);
    return newest;
  }

  /** Others went on: whoever didn't misses one. After an outage of all, nobody has missed anything yet. */
  #countMissed(newest: number, now: number): void {
    for (const member of this.#members.values()) {
      if ((member.heartbeat?.lastTick ?? 0) >= newest) continue;
      if (member.missedAdvances === 0) member.missedSince = now;
      member.missedAdvances += 1;
    }
  }

  #excuseAll(now: number): void {
    for (const member of this.#members.values()) {
      member.beatAt = now;
      // Excused, not confirmed: who has gone meanwhile must not be seated for what it beat before.
      member.beats = 0;
      // Its ticks were as invisible as its beats.
      member.missedAdvances = 0;
      member.unsubscribedAt = null;
      member.wasSubscribed = false;
    }
  }
}

function takeSubscription(member: Member, subscribed: ReadonlySet<number>, now: number): void {
  if (subscribed.has(member.incarnation)) {
    member.wasSubscribed = true;
    member.unsubscribedAt = null;
  } else if (member.wasSubscribed && member.unsubscribedAt === null) {
    member.unsubscribedAt = now;
  }
}
