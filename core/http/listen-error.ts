/** The address or port that was set can't be listened on. One line, exit code 2. */
class ListenError extends Error {
  readonly exitCode = 2;
  readonly code = "listen-failed";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ListenError";
  }
}

/** What listening failed with, as ListenError where PORT or HOST is the cause. */
export function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const message = listenMessage(error.code, host, port);
  return message === null ? error : new ListenError(message, { cause: error });
}

function listenMessage(code: string | undefined, host: string, port: number): string | null {
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} is taken: set PORT to another, or 0 for any free one (HOST=${host})`;
    case "EACCES":
      return `port ${port} needs privileges: set PORT to one from 1024 up, or 0 for any free one`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAFNOSUPPORT":
      return `HOST=${host}: must be an address of this machine (${code})`;
    default:
      return null;
  }
}
