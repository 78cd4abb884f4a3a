interface Entry {
  at: number;
  order: number;
  run: () => void;
}

/** Virtual time: what is scheduled runs in order of time, then of scheduling. A binary heap. */
export class Timeline {
  #now = 0;
  #order = 0;
  #heap: Entry[] = [];
  steps = 0;

  /** True time, ms; no process sees it. */
  get now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): void {
    const entry = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, entry)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  /** Runs the next entry, unless it is later than `until`. Returns whether one ran. */
  step(until: number): boolean {
    const [first] = this.#heap;
    if (first === undefined || first.at > until) {
      this.#now = until;
      return false;
    }
    this.#removeFirst();
    this.#now = first.at;
    this.steps += 1;
    first.run();
    return true;
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      let below = heap[child];
      if (below === undefined) break;
      const other = heap[child + 1];
      if (other !== undefined && isBefore(other, below)) {
        below = other;
        child += 1;
      }
      if (isBefore(last, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
