/** A local Postgres or Redis didn't come up; the message ends with the last lines of its log. */
export class StoreStartError extends Error {
  readonly code = "store-start-failed";

  constructor(summary: string, logTail: string, options?: ErrorOptions) {
    super(logTail === "" ? summary : `${summary}; its log ends with:\n${logTail}`, options);
    this.name = "StoreStartError";
  }
}

/** The port that the caller asked for is in use. */
export class PortTakenError extends Error {
  readonly code = "port-taken";

  constructor(store: string, port: number) {
    super(`${store} can't listen on 127.0.0.1:${port}: the port is taken`);
    this.name = "PortTakenError";
  }
}

/** Somebody else's server works on this data folder right now. */
export class DataFolderInUseError extends Error {
  readonly code = "data-folder-in-use";

  constructor(message: string) {
    super(message);
    this.name = "DataFolderInUseError";
  }
}

/** No redis-server or valkey-server here, and none could be installed; the message is one line. */
export class RedisMissingError extends Error {
  readonly code = "redis-missing";

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RedisMissingError";
  }
}
