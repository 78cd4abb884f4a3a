import type { Logger } from "pino";
import { reasonOf } from "../../core/postgres/errors.js";
import { type Member, Membership } from "./membership.js";
import type { LivenessSettings } from "./verdict.js";
import type { WorkerHash } from "./worker-hash.js";

const LOOK_MS = 250;
/** A member that is neither seated nor beating is forgotten after this. */
const FORGET_MS = 60_000;

export interface ObserverOptions {
  hash: WorkerHash;
  fleet: string;
  settings: LivenessSettings;
  /** Incarnations that sit in the newest view. */
  seated: () => readonly number[];
  monotonicNow: () => number;
  log: Logger;
  onLook: () => void;
}

/** Looks at the workers' hash four times a second and whenever a hint comes; every replica does. */
export class Observer {
  readonly membership: Membership;
  readonly #options: ObserverOptions;
  #lookedAt: number | null = null;
  #blind = false;
  #reportedForeign = "";

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.membership = new Membership(options.fleet, options.settings.deadAfterMs);
  }

  get settings(): LivenessSettings {
    return this.#options.settings;
  }

  /** Whether the last look is fresh enough to judge by. */
  sees(now: number): boolean {
    return !this.#blind && this.#lookedAt !== null && now - this.#lookedAt < 4 * LOOK_MS;
  }

  /** Whether the newest look failed. */
  get blind(): boolean {
    return this.#blind;
  }

  /** One look. Returns the milliseconds until the next. */
  async step(): Promise<number> {
    const { hash, monotonicNow, onLook, log } = this.#options;
    if (hash.connecting) return 20;
    // A look is as old as its question: this process may have been paused before it got the answer.
    const askedAt = monotonicNow();
    try {
      const reading = await hash.read(this.#options.seated());
      this.membership.observe(reading, askedAt);
      this.#lookedAt = askedAt;
      if (this.#blind) log.info("Redis answers again: everybody's silence counts from now");
      this.#blind = false;
    } catch (error) {
      if (!this.#blind)
        log.warn(`Redis can't be read, nobody is declared dead till it answers: ${reasonOf(error)}`);
      this.#blind = true;
      return LOOK_MS;
    }
    this.#reportForeign();
    this.#forgetGone();
    onLook();
    return LOOK_MS;
  }

  #reportForeign(): void {
    const foreign = [...this.membership.foreign].map(([name, fleet]) => `${name} (fleet ${fleet})`).sort();
    const report = foreign.join(", ");
    if (report !== "" && report !== this.#reportedForeign) {
      this.#options.log.warn(
        `ignoring workers of another fleet in this Redis: ${report}; give each fleet its own REDIS_KEY_PREFIX`,
      );
    }
    this.#reportedForeign = report;
  }

  #forgetGone(): void {
    const now = this.#options.monotonicNow();
    const seated = new Set(this.#options.seated());
    for (const member of this.membership.all()) {
      if (seated.has(member.incarnation)) continue;
      if (this.#hasEnded(member) || now - member.beatAt > FORGET_MS) {
        this.membership.forget(member.incarnation);
      }
    }
  }

  /** It left in order, or a later process has its name: its silence is no news to anybody. */
  #hasEnded(member: Member): boolean {
    if (member.inHash) return false;
    return (
      member.heartbeat?.state === "leaving" || this.membership.newestOf(member.name) > member.incarnation
    );
  }
}
