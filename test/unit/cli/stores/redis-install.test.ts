import { describe, expect, it } from "vitest";
import { planInstall } from "../../../../cli/stores/redis-install.js";

describe("planInstall", () => {
  const nobodySpecial = { isRoot: false, hasPasswordlessSudo: false };

  it("installs by itself on Debian as root or with passwordless sudo", () => {
    expect(planInstall({ packageManager: "apt-get", isRoot: true, hasPasswordlessSudo: false })).toEqual({
      kind: "install",
      asRoot: "already",
    });
    expect(planInstall({ packageManager: "apt-get", isRoot: false, hasPasswordlessSudo: true })).toEqual({
      kind: "install",
      asRoot: "sudo",
    });
  });

  it.each([
    ["apt-get", "sudo apt-get install -y redis-server"],
    ["dnf", "sudo dnf install -y valkey"],
    ["apk", "sudo apk add redis"],
    ["brew", "brew install redis"],
  ] as const)("names the command of %s to an ordinary user", (packageManager, command) => {
    expect(planInstall({ packageManager, ...nobodySpecial })).toEqual({ kind: "tell", command });
  });

  it("names no sudo to root, and no command where it knows none", () => {
    expect(planInstall({ packageManager: "apk", isRoot: true, hasPasswordlessSudo: false })).toEqual({
      kind: "tell",
      command: "apk add redis",
    });
    expect(planInstall({ packageManager: null, ...nobodySpecial })).toEqual({ kind: "tell", command: null });
  });
});
