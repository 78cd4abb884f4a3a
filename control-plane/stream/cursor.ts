/** The newest versions that a client of the stream has been told: what an event's id says. */
export interface Cursor {
  ring: number;
  config: number;
}

export function cursorText({ ring, config }: Cursor): string {
  return `r${ring}.c${config}`;
}

/** Null for anything that isn't an id of ours. */
export function parseCursor(text: string): Cursor | null {
  const [, ring, config] = /^r(\d{1,15})\.c(\d{1,15})$/.exec(text) ?? [];
  return ring === undefined || config === undefined ? null : { ring: Number(ring), config: Number(config) };
}
