/** A client of server-sent events that remembers what it heard. */
export interface StreamEvent {
  id: string;
  event: string;
  data: { version: number } & Record<string, unknown>;
}

export class EventStream {
  readonly events: StreamEvent[] = [];
  readonly comments: string[] = [];
  readonly response: Response;
  /** Resolves when the server has ended the stream in order; rejects where it broke. */
  readonly ended: Promise<void>;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.ended = this.#read();
    this.ended.catch(() => undefined);
  }

  static async open(base: string, lastId?: string): Promise<EventStream> {
    const abort = new AbortController();
    const headers = lastId === undefined ? {} : { "last-event-id": lastId };
    const response = await fetch(new URL("/v1/stream", base), { headers, signal: abort.signal });
    return new EventStream(response, abort);
  }

  /** `kind version` of each event so far. */
  get heard(): string[] {
    return this.events.map(({ event, data }) => `${event} ${data.version}`);
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    }
  }

  #take(block: string): void {
    const fields = new Map(block.split("\n").map((line) => splitField(line)));
    const comment = fields.get("");
    if (comment !== undefined) this.comments.push(comment);
    const data = fields.get("data");
    if (data === undefined) return;
    this.events.push({
      id: fields.get("id") ?? "",
      event: fields.get("event") ?? "",
      data: JSON.parse(data) as StreamEvent["data"],
    });
  }
}

function splitField(line: string): [string, string] {
  const at = line.indexOf(":");
  return [line.slice(0, at), line.slice(at + 1).trim()];
}
