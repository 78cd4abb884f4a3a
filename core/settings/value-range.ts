import { z } from "zod";
import { isLoopback } from "./loopback.js";

/** What a variable may hold: for zod, and in words that end "must be …". */
export interface ValueRange<T> {
  schema: z.ZodType<T, string>;
  range: string;
}

/** Decimal digits alone: no sign, fraction, exponent, white space or leading zero. */
export function integer(min: number, max: number): ValueRange<number> {
  const schema = z
    .string()
    .regex(/^(0|[1-9]\d{0,9})$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);
  return { schema, range: `a whole number from ${min} to ${max}` };
}

export function text(pattern: RegExp, range: string): ValueRange<string> {
  return { schema: z.string().regex(pattern), range };
}

export function oneOf<const Choice extends string>(choices: readonly Choice[]): ValueRange<Choice> {
  const schema = z.string().refine((value): value is Choice => choices.some((choice) => choice === value));
  return { schema, range: `one of ${choices.join(", ")}` };
}

/** `protocols` as URL has them, with their colon. */
export function url(...protocols: readonly string[]): ValueRange<string> {
  const schema = z.string().refine((value) => {
    return URL.canParse(value) && /^\S+$/.test(value) && protocols.includes(new URL(value).protocol);
  });
  return { schema, range: `a URL that starts with ${protocols.map((each) => `${each}//`).join(" or ")}` };
}

/** A URL to fetch from: encrypted, except on this machine. */
export function sourceUrl(): ValueRange<string> {
  const schema = z.string().refine((value) => {
    if (!URL.canParse(value) || !/^\S+$/.test(value)) return false;
    const { protocol, hostname } = new URL(value);
    return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
  });
  return { schema, range: "a URL that starts with https://, or with http:// and a loopback host" };
}

/** As Standard Webhooks has it: 24 to 64 bytes in base64, after whsec_ or not. */
export function webhookSecret(): ValueRange<string> {
  const schema = z.string().refine((value) => {
    const base64 = value.replace(/^whsec_/, "");
    const bytes = Buffer.from(base64, "base64");
    return bytes.toString("base64") === base64 && bytes.length >= 24 && bytes.length <= 64;
  });
  return { schema, range: "whsec_ and the base64 of 24 to 64 bytes" };
}

/** Path of a file that is read later, and again when it changes. */
export function path(): ValueRange<string> & { unit: string; isPath: true } {
  return { ...text(/^[^\0]+$/, "the path of a file"), unit: "path", isPath: true };
}

/** `host:port,host:port`; IPv6 in brackets, and `defaultPort` where none is named. */
export function hostsAndPorts(defaultPort: number): ValueRange<{ host: string; port: number }[]> {
  const one = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::(\d{1,5}))?$/;
  const schema = z.string().transform((value, context) => {
    return value.split(",").map((each) => {
      const [, v6, name, port] = one.exec(each.trim()) ?? [];
      const number = Number(port ?? defaultPort);
      const host = v6 ?? name;
      if (host !== undefined && number >= 1 && number <= 65_535) return { host, port: number };
      context.addIssue({ code: "custom" });
      return z.NEVER;
    });
  });
  return { schema, range: "host:port, several with commas between" };
}
