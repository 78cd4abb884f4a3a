import { Webhook } from "standardwebhooks";

export const TOKEN = "a-token-for-tests";

export interface Answer {
  status: number;
  headers: Headers;
  body: Record<string, unknown> & { code?: string; detail?: string };
}

/** Requests to one control plane's config API, with the token unless `headers` say otherwise. */
export class ConfigApi {
  readonly base: string;

  constructor(base: string) {
    this.base = base;
  }

  /** `body`: a text is sent as it is, anything else as JSON. */
  async send(method: string, path: string, body?: unknown, headers: object = {}): Promise<Answer> {
    const response = await fetch(new URL(path, this.base), {
      method,
      headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}`, ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Answer["body"],
    };
  }

  get(path: string): Promise<Answer> {
    return this.send("GET", path);
  }

  put(body: unknown, headers: object = {}): Promise<Answer> {
    return this.send("PUT", "/v1/config", body, headers);
  }

  /** POST /v1/webhooks/config, signed with `secret` as of `ageMs` ago. */
  webhook(
    body: unknown,
    message: { id: string; secret: string; ageMs?: number; signedBody?: string; signedId?: string },
  ): Promise<Answer> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const sentAt = new Date(Date.now() - (message.ageMs ?? 0));
    const { id, secret, signedBody, signedId } = message;
    const signature = new Webhook(secret).sign(signedId ?? id, sentAt, signedBody ?? text);
    return this.send("POST", "/v1/webhooks/config", text, {
      authorization: "",
      "webhook-id": message.id,
      "webhook-timestamp": String(Math.floor(sentAt.getTime() / 1000)),
      "webhook-signature": signature,
    });
  }
}
