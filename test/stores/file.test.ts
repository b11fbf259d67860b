import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { storeFailure } from "../../src/stores/file/errors.ts";
import { fileStore } from "../../src/stores/file/file.ts";
import { collect, keysOf, storeContract } from "./store.contract.ts";

const never = new AbortController().signal;
const place = mkdtempSync(join(tmpdir(), "siem-export-file-store-"));
let folders = 0;
const folder = () => join(place, `store-${folders++}`);

afterAll(() => rmSync(place, { recursive: true, force: true }));

storeContract("a folder", async () => fileStore(folder()));

/** Starts a process that writes to `directory`, as the user `uid` if given. */
function startWriter(directory: string, uid?: number) {
  const program = fileURLToPath(new URL("writer.ts", import.meta.url));
  const args = ["--import", "tsx", program, directory, ...(uid === undefined ? [] : [`${uid}`])];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

/** Every file below a folder, temporary files included. */
const filesIn = (directory: string) => readdirSync(directory, { recursive: true }).map(String).sort();

describe("a folder", () => {
  test("is created at the first write and not before, together with its parents", async () => {
    const directory = join(folder(), "below", "acme");
    const store = fileStore(directory);
    expect(store.place).toBe(directory);
    expect(await keysOf(store, "")).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    await store.create("plans/000000000001.json", Buffer.from("{}"), never);
    expect(filesIn(directory)).toEqual(["plans", "plans/000000000001.json"]);
  });

  test.each([
    "../out.json",
    "data/../../out.json",
    "/etc/passwd",
    "data//x",
    "data/",
    "",
    ".",
    "a\\..\\b",
    "a\0b",
    "x.tmp",
  ])("refuses the key %j, which would lead out of it or nowhere", async (key) => {
    const store = fileStore(folder());
    const refusal = { name: "RefusedError", code: "bad_request" };
    await expect(store.create(key, Buffer.from("x"), never)).rejects.toMatchObject(refusal);
    await expect(store.replace(key, Buffer.from("x"), never)).rejects.toMatchObject(refusal);
    await expect(store.read(key, never)).rejects.toMatchObject(refusal);
  });

  test("lists nothing outside of it", async () => {
    const store = fileStore(folder());
    await expect(keysOf(store, "../")).rejects.toMatchObject({ name: "RefusedError" });
  });

  test("leaves no temporary file, whether it creates, finds or replaces an object", async () => {
    const directory = folder();
    const store = fileStore(directory);
    await store.create("once.json", Buffer.from("1"), never);
    await store.create("once.json", Buffer.from("2"), never);
    await store.replace("checkpoint.json", Buffer.from("3"), never);
    await store.replace("checkpoint.json", Buffer.from("4"), never);
    expect(filesIn(directory)).toEqual(["checkpoint.json", "once.json"]);
  });

  test("does not list temporary files, and removes them when they are an hour old", async () => {
    const directory = folder();
    await fileStore(directory).create("data/a.json", Buffer.from("1"), never);
    const old = join(directory, "data", "b.json.4711-0123456789abcdef.tmp");
    const young = join(directory, "data", "c.json.4711-0123456789abcdef.tmp");
    const foreign = join(directory, "data", "notes.tmp");
    for (const path of [old, young, foreign]) writeFileSync(path, "half");
    const anHourAgo = Date.now() / 1000 - 3700;
    for (const path of [old, foreign]) utimesSync(path, anHourAgo, anHourAgo);

    expect(await keysOf(fileStore(directory), "data/")).toEqual(["data/a.json", "data/notes.tmp"]);
    await fileStore(directory).create("data/d.json", Buffer.from("1"), never);
    expect([old, young, foreign].map((path) => existsSync(path))).toEqual([false, true, true]);
  });

  test("holds only whole objects after its writer was killed", { timeout: 60_000 }, async () => {
    const directory = folder();
    const writer = startWriter(directory);
    let output = "";
    for await (const chunk of writer.stdout) {
      output += String(chunk);
      if (output.split("\n").length > 20) break;
    }
    writer.kill("SIGKILL");
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, "exit");

    const store = fileStore(directory);
    const keys = await keysOf(store, "objects/");
    expect(keys).toEqual(expect.arrayContaining(output.split("\n").slice(0, 20)));
    for (const key of keys) expect(await store.read(key, never)).toHaveLength(300_000);
    expect(String(await store.read("checkpoint.json", never))).toMatch(/^x{300000}$/);
  });

  test("reports a folder in place of a file as an error, not as a missing object", async () => {
    const directory = folder();
    mkdirSync(join(directory, "checkpoint.json"), { recursive: true });
    const store = fileStore(directory);
    const refusal = {
      name: "RefusedError",
      code: "bad_request",
      hint: expect.stringContaining("move it away") as string,
    };
    await expect(store.read("checkpoint.json", never)).rejects.toMatchObject(refusal);
    await expect(store.replace("checkpoint.json", Buffer.from("x"), never)).rejects.toMatchObject(refusal);
    expect(filesIn(directory)).toEqual(["checkpoint.json"]);
  });

  test("reports a file in place of a folder as an error", async () => {
    const directory = folder();
    mkdirSync(directory);
    writeFileSync(join(directory, "data"), "a file");
    await expect(fileStore(directory).create("data/x.json", Buffer.from("x"), never)).rejects.toMatchObject({
      name: "RefusedError",
      code: "bad_request",
    });
  });

  test("reads and lists files that are links, and does not follow links to folders", async () => {
    const directory = folder();
    const store = fileStore(directory);
    await store.create("data/a.json", Buffer.from("1"), never);
    symlinkSync(join(directory, "data", "a.json"), join(directory, "data", "b.json"));
    symlinkSync(join(directory, "nowhere"), join(directory, "data", "dangling.json"));
    symlinkSync(directory, join(directory, "data", "round"));
    expect(await keysOf(store, "")).toEqual(["data/a.json", "data/b.json"]);
  });

  test("reports in its preflight what is wrong and what to do", async () => {
    const directory = folder();
    writeFileSync(directory, "a file, not a folder");
    const [first, ...rest] = await collect(fileStore(directory).check("probe", never));
    expect(first).toMatchObject({ state: "ok", what: `list ${directory}` });
    expect(rest).toMatchObject([{ state: "failed", error: { name: "RefusedError" } }]);
    expect(rest[0]?.hint).toContain("move it away");
  });

  test("fails its preflight when something changes what is stored", async () => {
    const directory = folder();
    const store = fileStore(directory);
    await store.probe("probe", never);
    writeFileSync(join(directory, "probe"), "something else");
    const findings = await collect(store.check("probe", never));
    expect(findings.map(({ state }) => state)).toEqual(["ok", "ok", "failed"]);
    expect(findings[2]).toMatchObject({ error: { name: "ProtocolError" } });
  });
});

describe("a folder without write permission", () => {
  test("is an error that names the user and the folder to change, and the folder stays as it was", async () => {
    const directory = folder();
    mkdirSync(directory);
    chmodSync(directory, 0o555);
    chmodSync(place, 0o755);
    // Root may write anywhere, so it must be another user.
    const writer = startWriter(directory, process.getuid?.() === 0 ? 65534 : undefined);
    const output = (await collect(writer.stdout)).join("");
    expect(output).toMatch(/^RefusedError forbidden; (create|replace) .*: EACCES; /);
    expect(output).toMatch(/uid \d+, gid \d+: chown \d+:\d+ /);
    expect(filesIn(directory)).toEqual([]);
  });
});

describe("a disk", () => {
  const mounted = (options: string): string | undefined => {
    const directory = folder();
    mkdirSync(directory);
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
    return status === 0 ? directory : undefined;
  };
  const unmount = (directory: string) => spawnSync("umount", [directory]);

  test("that is full is an outage: what was written stays, and no partial file is left", async (context) => {
    const directory = mounted("size=1m") ?? context.skip("only root may mount a small disk");
    try {
      const store = fileStore(directory);
      await store.create("data/fits.json", Buffer.alloc(400_000), never);
      await store.replace("checkpoint.json", Buffer.from("before"), never);
      const outage = {
        name: "TransientError",
        code: "unavailable",
        hint: expect.stringContaining("free some") as string,
      };
      await expect(store.create("data/too-big.json", Buffer.alloc(900_000), never)).rejects.toMatchObject(outage);
      await expect(store.replace("checkpoint.json", Buffer.alloc(900_000), never)).rejects.toMatchObject(outage);
      expect(filesIn(directory)).toEqual(["checkpoint.json", "data", "data/fits.json"]);
      expect(String(await store.read("checkpoint.json", never))).toBe("before");
    } finally {
      unmount(directory);
    }
  });

  test("that is mounted read-only is a refusal whose hint says what to do", async (context) => {
    const directory = mounted("ro") ?? context.skip("only root may mount a disk");
    try {
      await expect(fileStore(directory).create("x.json", Buffer.from("x"), never)).rejects.toMatchObject({
        name: "RefusedError",
        code: "forbidden",
        hint: expect.stringContaining("mount it read-write") as string,
      });
    } finally {
      unmount(directory);
    }
  });
});

describe("an error of the file system", () => {
  test.each([
    ["link", "EPERM", "RefusedError", "bad_request", "hard links"],
    ["link", "ENOTSUP", "RefusedError", "bad_request", "hard links"],
    ["open", "EPERM", "RefusedError", "forbidden", "chown"],
    ["open", "EMFILE", "TransientError", "unavailable", "ulimit"],
    ["write", "EDQUOT", "TransientError", "unavailable", "quota"],
    ["fsync", "EIO", "TransientError", "unavailable", "disk"],
    ["fsync", "EINVAL", "RefusedError", "bad_request", "use another"],
    ["open", "ENAMETOOLONG", "RefusedError", "bad_request", "shorter"],
    ["link", "ENOENT", "TransientError", "unavailable", "disk"],
  ])("from %s, %s, is a %s (%s) whose hint says %j", async (syscall, code, name, ours, hint) => {
    const cause = Object.assign(new Error(code), { code, syscall });
    const failing = storeFailure("create /x/y", "/x", never, () => Promise.reject(cause));
    await expect(failing).rejects.toMatchObject({
      name,
      code: ours,
      message: `create /x/y: ${code}`,
      hint: expect.stringContaining(hint) as string,
      cause,
    });
  });

  test("is passed on as it is if it is a bug", async () => {
    const bug = new TypeError("undefined is not a function");
    await expect(storeFailure("create /x/y", "/x", never, () => Promise.reject(bug))).rejects.toBe(bug);
  });
});
