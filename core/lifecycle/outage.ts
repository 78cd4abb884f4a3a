import type { Logger } from "pino";
import { reasonOf } from "../postgres/errors.js";

/** Tells of a dependency's outage once when it begins and once when it is over, however many calls fail. */
export class Outage {
  readonly #dependency: string;
  readonly #log: Logger;
  #reason: string | null = null;

  constructor(dependency: string, log: Logger) {
    this.#dependency = dependency;
    this.#log = log;
  }

  failed(error: unknown): void {
    const reason = reasonOf(error);
    if (this.#reason === null) {
      this.#log.warn(`${this.#dependency} fails: ${reason}; work resumes by itself when it is back`);
    }
    this.#reason = reason;
  }

  over(): void {
    if (this.#reason !== null) this.#log.info(`${this.#dependency} is back`);
    this.#reason = null;
  }
}
