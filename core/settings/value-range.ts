import { z } from "zod";

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
