import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import {
  ConfigError,
  EXIT_FOUND,
  exitCodeOf,
  LedgerError,
  ProtocolError,
  RefusedError,
  TransientError,
  UsageError,
} from "../../src/errors.ts";
import { FACTS, STREAM_FACTS } from "../../src/fact.ts";
import { serveHealth } from "../../src/server/server.ts";
import { fold, contentOf } from "../support/status.ts";
import { blocksOf, page, pages, quoted, read, root, rowsOf, spansOf, texts } from "../support/pages.ts";

describe("links and paths", () => {
  /** As a heading's anchor is made where these pages are shown. */
  const anchorOf = (heading: string) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");

  test.each([...pages.keys()])("each link of %s leads somewhere", (name) => {
    const links = [...page(name).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    for (const link of links.filter((target) => !/^https?:/.test(target))) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? name : join(dirname(name), path);
      expect(existsSync(join(root, target)), `${name}: ${link}`).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
      expect(headings, `${name}: ${link}`).toContain(anchor);
    }
  });

  test("each path of the repository that is named exists", () => {
    const paths = texts.flatMap(spansOf).filter((span) => /^(?:src|test|docs|scripts|deploy)\/[\w./*-]*$/.test(span));
    expect(paths.length).toBeGreaterThan(50);
    const matches = (name: string, pattern: string) => {
      const [start = "", end = ""] = pattern.split("*");
      return name.startsWith(start) && name.endsWith(end);
    };
    const found = (path: string) =>
      path.includes("*")
        ? readdirSync(join(root, dirname(path))).some((name) => matches(name, path.slice(path.lastIndexOf("/") + 1)))
        : existsSync(join(root, path));
    expect(paths.filter((path) => !found(path))).toEqual([]);
  });

  test("each npm script that is named exists", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = texts.flatMap((text) => [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name));
    expect(named.length).toBeGreaterThan(2);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe("the command line", () => {
  const help = new Map<string, string>();
  /** What the program says to `--help` of each command, by one process: to start one takes a second. */
  async function helpOf(...commands: string[]): Promise<string[]> {
    const calls = commands.map(
      (name) => `await main(["", "", ...${JSON.stringify(name.split(" ").filter(Boolean))}, "--help"]);`,
    );
    const script = `import { main } from "./src/commands/program.ts"; ${calls.join('process.stdout.write("\\f");')}`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", script];
    return (await promisify(execFile)(process.execPath, args, { cwd: root })).stdout.split("\f");
  }

  /** The commands that a help lists, each by its whole name. */
  const listedIn = (text: string, parent = "") =>
    [...(text.split("\nCommands:\n")[1] ?? "").matchAll(/^ {2}([a-z]+)(?: \[\w+\])* {2}/gm)]
      .map(([, name = ""]) => `${parent}${name}`)
      .filter((name) => !name.endsWith("help"));

  beforeAll(async () => {
    const [overview = ""] = await helpOf("");
    const names = listedIn(overview);
    const texts = await helpOf(...names);
    const leaves = names.flatMap((name, index) => {
      const below = listedIn(texts[index] ?? "", `${name} `);
      if (below.length === 0) help.set(name, texts[index] ?? "");
      return below;
    });
    const leafTexts = leaves.length === 0 ? [] : await helpOf(...leaves);
    leaves.forEach((name, index) => help.set(name, leafTexts[index] ?? ""));
  }, 60_000);

  test("each command has a row in operations.md, and the row names nothing else", () => {
    const rows = rowsOf(page("docs/operations.md"), "Commands").map(([name = ""]) => name);
    expect(rows.sort()).toEqual([...help.keys()].map((name) => `\`siem-export ${name}\``).sort());
  });

  test("each command and each of its flags that is named exists", () => {
    const code = [...pages.values()].flatMap((text) => [...spansOf(text), ...blocksOf(text).map(({ text }) => text)]);
    const calls = code.flatMap((text) => [...text.matchAll(/(?:siem-export|main\.js) ([a-z]+)\b(?! worker)([^\n]*)/g)]);
    expect(calls.length).toBeGreaterThan(20);
    for (const [call, first = "", rest = ""] of calls) {
      const command = [...help.keys()].find((name) => `${first}${rest} `.startsWith(`${name} `)) ?? first;
      expect([...help.keys()], call).toContain(command);
      for (const [flag] of rest.matchAll(/--[a-z][a-z-]*/g)) expect(help.get(command), call).toContain(flag);
    }
  });

  test("each flag that is named by itself belongs to some command", () => {
    const all = [...help.values()].join("\n");
    const flags = texts.flatMap(spansOf).filter((span) => /^--/.test(span));
    expect(flags.length).toBeGreaterThan(15);
    for (const flag of flags) expect(all).toContain(/^--[a-z-]+/.exec(flag)?.[0]);
  });

  test("each option of the simulator is explained", () => {
    const named = rowsOf(page("docs/operations.md"), "The simulator").join("\n");
    const options = [...(help.get("simulate") ?? "").matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(
      ([, flag = ""]) => flag,
    );
    expect(
      options.filter((flag) => flag !== "--help" && !named.includes(`${flag}\``) && !named.includes(`${flag} `)),
    ).toEqual([]);
  });
});

describe("errors, facts and endpoints", () => {
  const thrown = {
    config: new ConfigError("x"),
    timeout: new TransientError("timeout", "x"),
    network: new TransientError("network", "x"),
    rate_limited: new TransientError("rate_limited", "x"),
    unavailable: new TransientError("unavailable", "x"),
    unauthorized: new RefusedError("unauthorized", "x"),
    forbidden: new RefusedError("forbidden", "x"),
    not_found: new RefusedError("not_found", "x"),
    bad_request: new RefusedError("bad_request", "x"),
    protocol: new ProtocolError("x"),
    ledger: new LedgerError("x"),
    bug: new Error("x"),
  };
  const declared = (file: string, start: string, member: RegExp) => {
    const text = read(file);
    const body = text.slice(text.indexOf(start)).split(";\n\n")[0] ?? "";
    return [...body.matchAll(member)].map(([, name = ""]) => name);
  };

  test("the exit codes are those of the program", () => {
    const rows = rowsOf(page("docs/operations.md"), "Exit codes");
    const shown = rows.flatMap(([code, , codes = ""]) => quoted(codes).map((name) => [name, Number(code)] as const));
    const real = Object.entries(thrown).map(([name, error]) => [name, exitCodeOf(error)] as const);
    expect(new Map(shown)).toEqual(new Map(real));
    expect(rows.filter(([, , codes]) => codes === "").map(([code]) => Number(code))).toEqual([
      0,
      exitCodeOf(new UsageError("x")),
      EXIT_FOUND,
    ]);
  });

  test("each error code has a row, with its class", () => {
    const codes = declared("src/errors.ts", "export type ErrorCode", /\| "(\w+)"/g);
    expect(Object.keys(thrown).sort()).toEqual(codes.sort());
    const shown = rowsOf(page("docs/operations.md"), "Error codes").map(([code = "", name = ""]) => [code, name]);
    const real = Object.entries(thrown).map(([code, { name }]) => [
      `\`${code}\``,
      name === "Error" ? "any other" : `\`${name}\``,
    ]);
    expect(new Map(shown as [string, string][])).toEqual(new Map(real as [string, string][]));
  });

  test("each fact has a row, with its level", () => {
    const real = Object.entries(FACTS).map(([kind, { level }]) => [kind, level] as const);
    const shown = rowsOf(page("docs/operations.md"), "The log").map(([fact = "", level = ""]) => [
      quoted(fact)[0],
      quoted(level)[0],
    ]);
    expect(new Map(shown as [string, string][])).toEqual(new Map(real));
  });

  test("each message that Ledger recovery explains is one of the program's", () => {
    const indented = page("docs/operations.md").replaceAll(/^ +\|/gm, "|");
    const messages = rowsOf(indented, "Ledger recovery").flatMap(([message = ""]) => quoted(message));
    expect(messages.length).toBeGreaterThan(8);
    const files = readdirSync(join(root, "src/ledger")).map((name) => read(`src/ledger/${name}`));
    const sources = files.join("\n").replaceAll("${CHECKPOINT_KEY}", "checkpoint.json");
    const parts = messages.flatMap((message) => message.split("…").map((part) => part.trim()));
    for (const part of parts) expect(sources).toContain(part);
  });

  test("each code of a finding has a row, with its level", () => {
    const codes = (type: string, level: string) =>
      declared("src/archive/finding.ts", `export type ${type}`, /"([A-Z_]+)"/g).map((code) => [code, level] as const);
    const real = [...codes("WrongCode", "error"), ...codes("NoticeCode", "notice")];
    expect(real.length).toBeGreaterThan(25);
    const shown = rowsOf(page("docs/operations.md"), "What verify finds").map(([code = "", level = ""]) => [
      quoted(code)[0],
      quoted(level)[0],
    ]);
    expect(new Map(shown as [string, string][])).toEqual(new Map(real));
  });

  test("each fact that a page tells to look for exists", () => {
    const named = rowsOf(page("docs/operations.md"), "Health")
      .map(([name = ""]) => quoted(name)[0] ?? "")
      .filter((name) => name !== "" && !name.startsWith("/") && name !== "fact");
    expect(named.length).toBeGreaterThan(3);
    for (const name of named) expect(Object.keys(STREAM_FACTS)).toContain(name);
  });

  test("each address of the health server has a row", async () => {
    const server = await serveHealth(
      { host: "127.0.0.1", port: 0 },
      contentOf(() => fold([])),
    );
    const response = await fetch(`http://127.0.0.1:${server.port}/nowhere`);
    const { paths } = (await response.json()) as { paths: string[] };
    await server.close();
    const named = rowsOf(page("docs/operations.md"), "Health").map(([path = ""]) => quoted(path)[0] ?? "");
    expect(named.filter((name) => name.startsWith("/"))).toEqual(paths);
  });
});
