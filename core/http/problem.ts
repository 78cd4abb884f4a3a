import { STATUS_CODES } from "node:http";
import type { ErrorRequestHandler, RequestHandler } from "express";
import type { Logger } from "pino";
import { z } from "zod";

/** The body of every error. Some codes add fields of their own. */
export const problemSchema = z
  .looseObject({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe("For a person."),
    code: z.string().describe("For a program: it stays the same."),
  })
  .meta({ id: "Problem" });

/** An error that a client is told as application/problem+json (RFC 9457). `code` is stable and documented. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly extra: Record<string, unknown>;

  constructor(problem: {
    status: number;
    code: string;
    title: string;
    detail: string;
    extra?: Record<string, unknown>;
    cause?: unknown;
  }) {
    super(problem.detail, { cause: problem.cause });
    this.name = "Problem";
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.extra = problem.extra ?? {};
  }

  toJSON(): Record<string, unknown> {
    return {
      ...this.extra,
      type: "about:blank",
      title: this.title,
      status: this.status,
      detail: this.message,
      code: this.code,
    };
  }
}

/** For routes that don't exist. */
export const notFound: RequestHandler = (request) => {
  throw new Problem({
    status: 404,
    code: "route_not_found",
    title: "Not found",
    detail: `there is no ${request.method} ${request.path}`,
  });
};

/** Turns whatever a route throws into a problem; what nobody foresaw is logged, and told without details. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const problem = problemOf(error);
    if (problem.status >= 500 && !(error instanceof Problem)) {
      log.error({ err: error, method: request.method, path: request.path }, "a request failed");
    }
    response.status(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  };
}

/** Errors that only wrong code throws; everything else nearly always means that Postgres or Redis is away. */
const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError];

/** What express and its body parser throw carries a 4xx status, and a message that is meant for the client. */
function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { status, type } = (error ?? {}) as ClientError;
  if (status !== undefined && status >= 400 && status < 500) {
    return new Problem({
      status,
      code: clientErrorCode(status, type),
      title: STATUS_CODES[status] ?? "Bad request",
      detail: clientErrorDetail(error as ClientError),
    });
  }
  // The reasons of both may hold addresses and names: the log alone has them.
  if (BUGS.some((bug) => error instanceof bug)) {
    return new Problem({
      status: 500,
      code: "internal_error",
      title: "Internal error",
      detail: "the request met a bug: see this process's log",
      cause: error,
    });
  }
  return new Problem({
    status: 503,
    code: "unavailable",
    title: "Unavailable",
    detail: "Postgres or Redis doesn't answer now, or not in time: this process's log says what is wrong",
    cause: error,
  });
}

/** Of body-parser and of express's router. */
interface ClientError {
  status?: number;
  type?: string;
  message?: string;
  /** Bytes that the body may have. */
  limit?: number;
}

function clientErrorDetail({ type, message, limit }: ClientError): string {
  if (type === "entity.parse.failed") return `the body is not JSON: ${message}`;
  if (type === "entity.too.large") return `the body is larger than the ${limit} bytes that are taken here`;
  return message ?? "bad request";
}

function clientErrorCode(status: number, type: string | undefined): string {
  if (status === 413) return "body_too_large";
  if (status === 415) return "body_encoding_unsupported";
  return type === "entity.parse.failed" ? "body_not_json" : "bad_request";
}
