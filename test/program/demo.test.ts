import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { flawsIn, linesIn, manifestsIn, readFolder } from "../support/archive.ts";
import { run, start } from "../support/program.ts";

const ROOT = join(import.meta.dirname, "../..");
/** The usual port of the status page. */
const PORT = 9464;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "siem-export-demo-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("the demo stops by itself after --for", async () => {
  const { code, stdout, stderr } = await run(["demo", "--for", "1s"], { cwd: folder() });
  expect(code, stderr).toBe(0);
  expect(stdout).toContain("Result");
});

test("the demo exports both sources until it is stopped, and leaves objects that can be read", async () => {
  const cwd = folder();
  const demo = start(["demo"], { cwd });
  // Both streams have then exported three hours: enough lines at any hour of the day and on any machine.
  await demo.saw(/Live:/, "stdout");
  demo.kill("SIGTERM");
  const { code, stdout, stderr } = await demo.ended;
  expect(code, stderr).toBe(0);
  expect(stdout).toContain("Result");
  const [, place = ""] = /archive\s+(\S+)/.exec(stdout) ?? [];
  for (const [stream, members] of [
    ["pachca-demo", ["id", "created_at"]],
    ["uipath-demo", ["event_id", "timestamp"]],
  ] as const) {
    expect(stdout).toMatch(new RegExp(`^ {2}${stream} +http://127\\.0\\.0\\.1:\\d+/`, "m"));
    const files = readFolder(join(cwd, place, stream));
    // The signal may come in the middle of a window. The next run would use what that window has left.
    const begun = /no manifest names it$|^checkpoint\.json is not at the head$/;
    expect(flawsIn(files).filter((flaw) => !begun.test(flaw))).toEqual([]);
    expect(manifestsIn(files).length).toBeGreaterThan(0);
    expect(linesIn(files).length).toBeGreaterThan(50);
    for (const line of linesIn(files)) for (const name of members) expect(JSON.parse(line)).toHaveProperty(name);
  }
});

test("the status page has its usual port, and another one when that is in use", async () => {
  const portOf = async (): Promise<number> => {
    const { code, stdout, stderr } = await run(["demo", "--for", "1s"], { cwd: folder() });
    expect(code, stderr).toBe(0);
    return Number(/status page +http:\/\/127\.0\.0\.1:(\d+)\/$/m.exec(stdout)?.[1]);
  };
  const other = createServer();
  const isOurs = await new Promise<boolean>((resolve) => {
    other.once("error", () => resolve(false)).listen(PORT, "127.0.0.1", () => resolve(true));
  });
  const port = await portOf();
  expect(port).toBeGreaterThan(1023);
  expect(port).not.toBe(PORT);
  // Where another program on this machine uses the port, there is nothing more to see.
  if (!isOurs) return;
  other.close();
  await once(other, "close");
  expect(await portOf()).toBe(PORT);
});

/** The processes that work in a folder. */
function processesIn(path: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === path;
    } catch {
      return false;
    }
  });
}

/** Where the program can be built without an effect on other tests. */
function copyOfRepository(): string {
  const copy = folder();
  for (const name of ["package.json", "tsconfig.json", "tsconfig.build.json", "scripts", "src"]) {
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  return copy;
}

test.skipIf(!existsSync("/proc"))(
  "npm run demo: a SIGTERM to npm ends every process, during the build and after it",
  async () => {
    const cwd = copyOfRepository();
    for (const [seen, wantedCode] of [
      [/^building/m, 143],
      [/Live:/, 0],
    ] as const) {
      const npm = spawn("npm", ["run", "demo"], { cwd, stdio: ["ignore", "pipe", "pipe"] });
      onTestFinished(() => void npm.kill("SIGKILL"));
      let output = "";
      for (const stream of [npm.stdout, npm.stderr]) stream.on("data", (chunk: Buffer) => (output += String(chunk)));
      const closed = once(npm, "close");
      await vi.waitFor(() => expect(output).toMatch(seen), { timeout: 120_000 });
      expect(processesIn(cwd).length).toBeGreaterThan(1);
      npm.kill("SIGTERM");
      expect(await closed, output).toEqual([wantedCode, null]);
      // The compiler gets its signal when npm has already ended.
      await vi.waitFor(() => expect(processesIn(cwd)).toEqual([]), { timeout: 5000 });
      expect(output.includes("Result")).toBe(wantedCode === 0);
    }
  },
  300_000,
);
