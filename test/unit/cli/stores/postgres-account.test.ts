import { describe, expect, it } from "vitest";
import { mayEnter, parsePasswd } from "../../../../cli/stores/postgres-account.js";

describe("parsePasswd", () => {
  it("reads name, uid and gid, and skips what is no entry", () => {
    const text =
      "root:x:0:0:root:/root:/bin/bash\n\n+::::::\npostgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/sh\n";
    expect(parsePasswd(text)).toEqual([
      { name: "root", uid: 0, gid: 0 },
      { name: "postgres", uid: 101, gid: 104 },
    ]);
  });
});

describe("mayEnter", () => {
  const account = { name: "postgres", uid: 101, gid: 104 };

  it.each([
    ["its own folder by the owner's bit", { mode: 0o700, uid: 101, gid: 0 }, true],
    ["its own folder not by the others' bit", { mode: 0o677, uid: 101, gid: 0 }, false],
    ["its group's folder by the group's bit", { mode: 0o710, uid: 0, gid: 104 }, true],
    ["its group's folder not by the others' bit", { mode: 0o701, uid: 0, gid: 104 }, false],
    ["another's folder by the others' bit", { mode: 0o711, uid: 0, gid: 0 }, true],
    ["another's closed folder not", { mode: 0o770, uid: 0, gid: 0 }, false],
  ])("enters %s", (_case, folder, expected) => {
    expect(mayEnter(folder, account)).toBe(expected);
  });
});
