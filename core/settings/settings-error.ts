/** A bad or missing setting, told in one line. Exit code 2. */
export class SettingsError extends Error {
  readonly exitCode = 2;
}
