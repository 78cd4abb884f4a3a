import { Problem } from "../../core/http/problem.js";
import type { InvalidConfigError } from "../../core/versions/config-input.js";
import { isoTime } from "./config-entry.js";

export function invalidConfig(error: InvalidConfigError): Problem {
  return new Problem({
    status: 422,
    code: error.code,
    title: "Invalid config",
    detail: error.message,
    extra: { problems: error.problems },
  });
}

export function outdated(ifMatch: number, highest: number): Problem {
  return new Problem({
    status: 412,
    code: "config_changed",
    title: "Config has changed",
    detail: `the change was made on version ${ifMatch}, the highest is ${highest}: read it and try again`,
    extra: { highest },
  });
}

export function changedMeanwhile(): Problem {
  return new Problem({
    status: 412,
    code: "config_changed",
    title: "Config has changed",
    detail: "others changed the config at the same moment, or its time has come: read it and try again",
  });
}

export function tooSoon(wantedMs: number, earliestMs: number): Problem {
  const earliest = isoTime(earliestMs);
  return new Problem({
    status: 422,
    code: "activation_too_soon",
    title: "Activation too soon",
    detail: `activation at ${isoTime(wantedMs)} is past, or too near for every worker to know: the earliest is ${earliest}`,
    extra: { earliest },
  });
}

export function pendingConflict(version: number): Problem {
  return new Problem({
    status: 409,
    code: "config_pending",
    title: "Another config is pending",
    detail: `version ${version} is to rule later and would never: cancel it first, or say "replace" (--replace)`,
    extra: { pending: version },
  });
}

/** What cancels is the highest version: nothing below it would ever rule again. */
export function cancelLaterFirst(version: number): Problem {
  return new Problem({
    status: 409,
    code: "config_pending",
    title: "Another config is pending",
    detail: `version ${version} is to rule later and would never: cancel that one first`,
    extra: { pending: version },
  });
}

/** Cancelling repeats what rules before: that must not publish what somebody wrote into the row by hand. */
export function notRepeatable(version: number): Problem {
  return new Problem({
    status: 409,
    code: "config_not_repeatable",
    title: "Nothing to go back to",
    detail: `version ${version} isn't what was published, so that it can't be repeated: set a whole config instead, with "replace" (--replace)`,
  });
}

export function notPending(version: number): Problem {
  return new Problem({
    status: 409,
    code: "config_not_pending",
    title: "Not pending",
    detail: `version ${version} is active already, or was replaced: only what is to come can be cancelled`,
  });
}

export function configNotFound(version: number): Problem {
  return new Problem({
    status: 404,
    code: "config_not_found",
    title: "No such config",
    detail: `there is no config version ${version}`,
  });
}
