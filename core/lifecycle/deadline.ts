/** Something took longer than it may. */
export class DeadlineError extends Error {
  readonly code = "deadline-exceeded";

  constructor(message: string) {
    super(message);
    this.name = "DeadlineError";
  }
}

/**
 * What `promise` resolves to, or DeadlineError with `message` after `ms` milliseconds. The work itself goes on:
 * a late result, or a late error, is dropped.
 */
export async function withDeadline<T>(promise: Promise<T>, ms: number, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(message)), ms);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
