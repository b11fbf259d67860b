import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const SRC = join(import.meta.dirname, "../../src");

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
const textOf = (path: string): string => readFileSync(join(SRC, path), "utf8");

function importsOf(path: string): string[] {
  const specifiers = [...textOf(path).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(
    ([, specifier = ""]) => specifier,
  );
  return specifiers.map((specifier) => relative(SRC, join(SRC, dirname(path), specifier)));
}

test("only assemble knows every source, sink, store and format", () => {
  const knowing = files.filter((path) => {
    const folders = importsOf(path).map((imported) => imported.split("/")[0]);
    return ["sources", "sinks", "stores", "formats"].every((folder) => folders.includes(folder));
  });
  expect(knowing).toEqual(["assemble.ts"]);
});

test("the core takes time as an argument: it reads no clock", () => {
  const core = files.filter((path) => !path.includes("/") || path.startsWith("export/") || path.startsWith("ledger/"));
  const reading = core.filter((path) => /Date\.now\(|new Date\(\)|performance\.now\(|setTimeout\(/.test(textOf(path)));
  expect(core.length).toBeGreaterThan(20);
  expect(reading).toEqual([]);
});

test("no file is called after nothing", () => {
  const vague = files.filter((path) =>
    /util|helper|common|manager|service|misc|shared/i.test(path.split("/").at(-1) ?? ""),
  );
  expect(vague).toEqual([]);
});

test("the lockfile names no registry", () => {
  const lock = readFileSync(join(SRC, "../package-lock.json"), "utf8");
  expect(lock.match(/"resolved"/g) ?? []).toEqual([]);
});
