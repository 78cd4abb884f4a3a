/** Checks of the sources: [name, command, args]. */
export const CHECKS = [
  ["format and lint", "npx", ["biome", "check", "--error-on-warnings"]],
  ["types", "npx", ["tsc", "-p", "tsconfig.json"]],
  ["unused code", "npx", ["knip"]],
  ["import directions", "npx", ["depcruise", "core", "control-plane", "worker", "cli", "test"]],
];
