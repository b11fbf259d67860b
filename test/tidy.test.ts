import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";

const SRC = join(import.meta.dirname, "../src");

/** Innermost first: a file imports from its own ring and from those within. `simulator` stands apart: see below. */
const RINGS: readonly RegExp[] = [
  /^(?:time|errors)\.ts$/,
  /^(?:window|source|batch|sink|store|ledger|head|manifest|ids|known-ids|fact|retry|format|meaning|lateness|keys|signature)\.ts$/,
  /^(?:http|http-errors|budget|json|json-arrays|json-record|agents|secret|readahead|span-length|export|gc|collect|quarantine|reconcile|rebuild|verify|log|progress|document|status|state|recent|past|metrics)\.ts$|^(?:sources|sinks|stores|formats|syslog|verify)\//,
  /^(?:config|worker|schedule|server|version)\.ts$|^(?:config|notify|page)\//,
  /^(?:assemble|cli|cli-archive|cli-simulate|main)\.ts$|^commands\//,
];

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
const textOf = (path: string): string => readFileSync(join(SRC, path), "utf8");

function importsOf(path: string): string[] {
  const specifiers = [...textOf(path).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(
    ([, specifier = ""]) => specifier,
  );
  return specifiers.map((specifier) => relative(SRC, join(SRC, dirname(path), specifier)));
}

const ringOf = (path: string): number => RINGS.findIndex((ring) => ring.test(path));

test("every file of src stands in one ring, and imports only from its own or an inner one", () => {
  expect(files.length).toBeGreaterThan(40);
  const outward: string[] = [];
  for (const path of files.filter((file) => !file.startsWith("simulator/"))) {
    expect(ringOf(path), `${path} is in no ring`).toBeGreaterThanOrEqual(0);
    for (const imported of importsOf(path)) {
      if (imported.startsWith("simulator/") ? !path.startsWith("commands/") : ringOf(imported) > ringOf(path)) {
        outward.push(`${path} -> ${imported}`);
      }
    }
  }
  expect(outward).toEqual([]);
});

test("the simulator knows nothing of the exporter but time and errors", () => {
  const known = files
    .filter((path) => path.startsWith("simulator/"))
    .flatMap(importsOf)
    .filter((imported) => !imported.startsWith("simulator/"));
  expect([...new Set(known)].sort()).toEqual(["errors.ts", "time.ts"]);
});

test("only assemble knows every source, sink, store and format", () => {
  const knowing = files.filter((path) => {
    const folders = importsOf(path).map((imported) => imported.split("/")[0]);
    return ["sources", "sinks", "stores", "formats"].every((folder) => folders.includes(folder));
  });
  expect(knowing).toEqual(["assemble.ts"]);
});

test("the core takes time as an argument: it reads no clock", () => {
  const core = files.filter((path) => [0, 1].includes(ringOf(path)) || ["export.ts", "readahead.ts"].includes(path));
  const reading = core.filter((path) => /Date\.now\(|new Date\(\)|performance\.now\(|setTimeout\(/.test(textOf(path)));
  expect(reading).toEqual([]);
});

test("no file has outgrown its job", () => {
  const long = files.map((path) => [path, textOf(path).split("\n").length] as const).filter(([, lines]) => lines > 290);
  expect(long).toEqual([]);
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
