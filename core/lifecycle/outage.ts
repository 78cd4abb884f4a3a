import type { Logger } from "pino";
import { reasonWithAdvice, tlsAdvice } from "../tls/tls-advice.js";

/**
 * Tells of a dependency's outage once when it begins and once when it is over, however many calls fail; and of
 * what somebody has to put right, which may come to light only while it lasts.
 */
export class Outage {
  readonly #dependency: string;
  readonly #log: Logger;
  #failing = false;
  #advice: string | null = null;

  constructor(dependency: string, log: Logger) {
    this.#dependency = dependency;
    this.#log = log;
  }

  failed(error: unknown): void {
    const advice = tlsAdvice(this.#dependency, error);
    if (!this.#failing || (advice !== null && advice !== this.#advice)) {
      const reason = reasonWithAdvice(this.#dependency, error);
      this.#log.warn(`${this.#dependency} fails: ${reason}; work resumes by itself when it is back`);
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
