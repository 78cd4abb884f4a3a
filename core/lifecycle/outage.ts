import type { Logger } from "pino";
import { reasonWithAdvice, tlsAdvice } from "../tls/tls-advice.js";

/** What becomes of the fleet meanwhile. */
const MEANWHILE: Record<Dependency, string> = {
  Postgres: "work resumes by itself when it is back",
  Redis: "work goes on, joins, leaves and deaths wait till it is back",
};

type Dependency = "Postgres" | "Redis";

/**
 * Tells of a dependency's outage once when it begins and once when it is over, however many calls fail; and of
 * what somebody has to put right, which may come to light only while it lasts.
 */
export class Outage {
  readonly #dependency: Dependency;
  readonly #log: Logger;
  #failing = false;
  #advice: string | null = null;

  constructor(dependency: Dependency, log: Logger) {
    this.#dependency = dependency;
    this.#log = log;
  }

  failed(error: unknown): void {
    const advice = tlsAdvice(this.#dependency, error);
    if (!this.#failing || (advice !== null && advice !== this.#advice)) {
      const reason = reasonWithAdvice(this.#dependency, error);
      this.#log.warn(`${this.#dependency} fails: ${reason}; ${MEANWHILE[this.#dependency]}`);
    }
    this.#failing = true;
    if (advice !== null) this.#advice = advice;
  }

  over(): void {
    if (this.#failing) this.#log.info(`${this.#dependency} is back`);
    this.#failing = false;
    this.#advice = null;
  }
}
