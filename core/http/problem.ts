import type { ErrorRequestHandler, RequestHandler } from "express";
import type { Logger } from "pino";

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
    this.status = problem.status;
    this.code = problem.code;
    this.title = problem.title;
    this.extra = problem.extra ?? {};
  }

  toJSON(): Record<string, unknown> {
    return {
      type: "about:blank",
      title: this.title,
      status: this.status,
      detail: this.message,
      code: this.code,
      ...this.extra,
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

/** Turns whatever a route throws into a problem; what nobody foresaw is logged and told as 500. */
export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = problemOf(error);
    if (problem.status >= 500 && !(error instanceof Problem)) log.error({ err: error }, "a request failed");
    response.status(problem.status).type("application/problem+json").send(JSON.stringify(problem));
  };
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { status, type, message } = (error ?? {}) as { status?: number; type?: string; message?: string };
  if (status === 413) {
    return new Problem({
      status,
      code: "body_too_large",
      title: "Body too large",
      detail: message ?? "too large",
    });
  }
  if (status !== undefined && status >= 400 && status < 500) {
    const code = type === "entity.parse.failed" ? "body_not_json" : "bad_request";
    return new Problem({ status, code, title: "Bad request", detail: message ?? "bad request" });
  }
  return new Problem({
    status: 503,
    code: "unavailable",
    title: "Unavailable",
    detail: error instanceof Error ? error.message : "the request could not be served",
  });
}
