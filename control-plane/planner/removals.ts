const WINDOW_MS = 60_000;

/**
 * Which workers lost their seat other than by leaving in order in the last minute, and how often: who flaps
 * waits longer.
 */
export class Removals {
  readonly #byName = new Map<string, number[]>();

  add(name: string, now: number): void {
    // Most pods that go never come back under their name.
    for (const known of this.#byName.keys()) this.count(known, now);
    this.#byName.set(name, [...this.#recent(name, now), now]);
  }

  /** Names that are remembered. */
  get size(): number {
    return this.#byName.size;
  }

  count(name: string, now: number): number {
    const recent = this.#recent(name, now);
    if (recent.length === 0) this.#byName.delete(name);
    return recent.length;
  }

  #recent(name: string, now: number): number[] {
    return (this.#byName.get(name) ?? []).filter((at) => now - at < WINDOW_MS);
  }
}
