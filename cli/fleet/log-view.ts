import { styleText } from "node:util";

/** Columns of the name in front of each line. */
const NAME_WIDTH = 12;
/** More ids than this are shortened to their first characters. */
const WHOLE_IDS = 12;

const COLORS = ["cyan", "magenta", "yellow", "blue", "green"] as const;

/** Shows what the fleet's processes log, one readable line each. */
export class LogView {
  readonly #write: (text: string) => void;
  readonly #isColored: boolean;
  readonly #json: boolean;
  readonly #colors = new Map<string, (typeof COLORS)[number]>();

  constructor(options: { write: (text: string) => void; isColored: boolean; json: boolean }) {
    this.#write = options.write;
    this.#isColored = options.isColored;
    this.#json = options.json;
  }

  /** A line that a process of the fleet printed: pino's JSON, or anything else as it is. */
  line(name: string, text: string): void {
    if (this.#json) {
      this.#write(`${JSON.stringify({ process: name, ...parse(text) })}\n`);
      return;
    }
    const entry = parse(text);
    const level = typeof entry["level"] === "string" ? entry["level"] : "info";
    this.#show(name, wording(entry), level, typeof entry["time"] === "string" ? entry["time"] : null);
  }

  /** A line of `up` itself. */
  say(text: string, level = "info"): void {
    if (this.#json) this.#write(`${JSON.stringify({ process: "ringfleet", level, msg: text })}\n`);
    else this.#show("ringfleet", text, level, null);
  }

  #show(name: string, text: string, level: string, time: string | null): void {
    const clock = (time === null ? new Date() : new Date(time)).toTimeString().slice(0, 8);
    const shown = level === "error" || level === "fatal" ? this.#paint("red", text) : text;
    const marked = level === "warn" ? this.#paint("yellow", text) : shown;
    this.#write(
      `${this.#paint("dim", clock)}  ${this.#paint(this.#colorOf(name), name.padEnd(NAME_WIDTH))} ${marked}\n`,
    );
  }

  #paint(style: Parameters<typeof styleText>[0], text: string): string {
    // Who made this view has decided; by itself styleText would look at this process's stdout.
    return this.#isColored ? styleText(style, text, { validateStream: false }) : text;
  }

  #colorOf(name: string): (typeof COLORS)[number] {
    const known = this.#colors.get(name) ?? COLORS[this.#colors.size % COLORS.length] ?? "cyan";
    this.#colors.set(name, known);
    return known;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const entry: unknown = JSON.parse(text);
    if (entry !== null && typeof entry === "object") return entry as Record<string, unknown>;
  } catch {
    // Not of our logger: shown as it is.
  }
  return { msg: text };
}

/** How a process ends its word on SIGTERM: true of a process alone, not of one below `up`. */
const SIGNAL_HINT = /; once more to stop at once$/;

/** The message; a list of watched ids is shortened where it is long, an error's reason added. */
function wording(entry: Record<string, unknown>): string {
  const said = typeof entry["msg"] === "string" ? entry["msg"] : JSON.stringify(entry);
  const { message: reason } = (entry["err"] ?? {}) as { message?: unknown };
  const message = said.replace(SIGNAL_HINT, "") + (typeof reason === "string" ? `: ${reason}` : "");
  const { watching } = entry;
  if (!Array.isArray(watching) || watching.length <= WHOLE_IDS) return message;
  const ids = watching.map((id) => String(id).slice(0, 8));
  return `watching ${watching.length} work items: ${ids.join(" ")}`;
}
