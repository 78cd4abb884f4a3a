/** What is wrong with one setting: its variable, its value (null: not set; secrets redacted) and what is allowed. */
export interface SettingProblem {
  name: string;
  value: string | null;
  /** What would be right, as the end of a sentence: "must be a whole number from 0 to 65535". */
  allowed: string;
}

/** Bad or missing settings, told in one line: the first of them, and how many more there are. Exit code 2. */
export class SettingsError extends Error {
  readonly exitCode = 2;
  readonly code = "settings-invalid";
  readonly problems: readonly SettingProblem[];
  /** Of the first problem, as are `value` and `allowed`. */
  readonly variable: string;
  readonly value: string | null;
  readonly allowed: string;

  constructor(problems: readonly [SettingProblem, ...SettingProblem[]], options?: ErrorOptions) {
    const [{ name, value, allowed }, ...others] = problems;
    const first = value === null ? `${name} is not set: ${allowed}` : `${name}=${value}: ${allowed}`;
    super(others.length === 0 ? first : `${first} (and ${others.length} more)`, options);
    this.name = "SettingsError";
    this.problems = problems;
    this.variable = name;
    this.value = value;
    this.allowed = allowed;
  }
}
