import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { definitionOf, jsonSchema } from "../../scripts/json-schema.ts";
import { manual } from "../../scripts/manual.ts";
import { withTables } from "../../scripts/tables.ts";
import { SINKS } from "../../src/sinks/index.ts";
import { errorOf, loadText } from "../support/config.ts";

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");
const example = read("config/exporter.example.yaml");
const definition = definitionOf(configSchema);
const env = {
  PACHCA_TOKEN: "t",
  UIPATH_TOKEN: "u",
  S3_ACCESS_KEY_ID: "k",
  S3_SECRET_ACCESS_KEY: "s",
  S3_SESSION_TOKEN: "x",
  STATUS_TOKEN: "s",
};

interface Described {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly oneOf?: readonly Described[];
  readonly anyOf?: readonly Described[];
}

/** Every key that a configuration can have, with its path. */
function keysOf(schema: Described, path = ""): (readonly [path: string, key: string, schema: Described])[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => [
    [`${path}.${key}`, key, inner] as const,
    ...keysOf(inner, `${path}.${key}`),
  ]);
  const parts = [schema.items, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return [...own, ...parts.flatMap((part) => (part === undefined ? [] : keysOf(part, path)))];
}

const keys = keysOf(definition as Described);

test("the example loads", async () => {
  const { streams } = await loadText(example, env);
  expect(streams.map(({ name, sink }) => [name, sink.type])).toEqual([
    ["pachca-acme", "s3"],
    ["demo", "file"],
    ["uipath-acme", "syslog"],
    ["piped", "stdout"],
  ]);
});

test("the example shows every key", () => {
  expect(keys.length).toBeGreaterThan(60);
  expect(keys.filter(([, key]) => !new RegExp(`(?:^|[\\s{#])${key}:`, "m").test(example))).toEqual([]);
});

test("the example's values are the defaults", async () => {
  const { streams, ...rest } = await loadText(example, env);
  const { name, source, windows, sink } = streams[0]!;
  const minimal = JSON.stringify({
    streams: [
      {
        name,
        source: { type: source.type, token: "t" },
        windows: { start: new Date(windows.start).toISOString() },
        sink: { type: "s3", bucket: "acme-siem" },
      },
    ],
  });
  const { streams: minimalStreams, ...minimalRest } = await loadText(minimal);
  expect(JSON.stringify(streams[0])).toBe(JSON.stringify(minimalStreams[0]));
  expect(sink).toMatchObject({ bucket: "acme-siem" });
  expect(rest).toEqual(minimalRest);
});

const lines = example.split("\n");
const optional = lines.flatMap((line, index) => {
  const match = /^( +)# (\w+): /.exec(line);
  return match === null ? [] : [[match[2]!, index, match[1]!] as const];
});

test.each(optional)("the example's line with %s (%i) is valid without its #", async (key, index, indent) => {
  // It replaces the same key above it, and a key ending in File replaces the one without.
  const gone = new RegExp(`^${indent}(?:${key}|${key.replace(/File$/, "")}):`);
  const above = lines.findLastIndex((line, at) => at < index && gone.test(line));
  const text = lines.map((line, at) =>
    at === index ? line.replace("# ", "") : at === above ? `${indent}# ${line.trim()}` : line,
  );
  const outcome = loadText(text.join("\n"), env);
  // The example's paths do not exist here, and one half of a key requires the other. Nothing else may be wrong.
  if (!/File$|Key|session|kms|ledger|framing/.test(key)) {
    expect((await outcome).streams).toHaveLength(4);
    return;
  }
  const error = await errorOf(outcome);
  const mistakes = error.message.split("\n").slice(1);
  expect(
    mistakes.filter((mistake) => !/no such file|required with|needs serverSideEncryption|only for tcp/.test(mistake)),
  ).toEqual([]);
});

test("the example of notify loads without its #", async () => {
  const start = lines.indexOf("# notify:");
  const block = lines.slice(start, lines.indexOf("", start)).map((line) => line.replace("# ", ""));
  const text = [...lines.filter((line) => !line.startsWith("notify: {}")), ...block].join("\n");
  const urls = {
    WEBHOOK_URL: "https://hooks.example/x",
    PACHCA_BOT_TOKEN: "b",
    HEARTBEAT_URL: "https://beats.example/x",
  };
  const { notify } = await loadText(text, { ...env, ...urls });
  expect(Object.keys(notify)).toEqual(["webhook", "pachca", "heartbeat"]);
  expect(notify).toMatchObject({ pachca: { entityType: "discussion" }, heartbeat: { everyMs: 60_000 } });
});

test("every key has a description that is a sentence", () => {
  expect(keys.filter(([, , { description = "" }]) => !/^[A-Z].{10,}\.$/.test(description))).toEqual([]);
});

test("the JSON Schema and the manual are up to date (npm run generate)", () => {
  expect(read("config/exporter.schema.json")).toBe(`${JSON.stringify(jsonSchema(definition), null, 2)}\n`);
  expect(read("docs/configuration.md")).toBe(manual(definition));
});

test("the table of sinks in the README is up to date (npm run generate)", () => {
  expect(read("README.md")).toBe(withTables(read("README.md")));
  expect(read("README.md").match(/^\| `(?:s3|file|syslog|stdout)` /gm)).toHaveLength(SINKS.length);
});

test("the JSON Schema accepts a variable in place of a number, a boolean or a choice, and refuses unknown keys", () => {
  const schema = jsonSchema(definition) as Described & { additionalProperties: boolean };
  const variable = { type: "string", pattern: "\\$\\{" };
  const stream = schema.properties!["streams"]!.items!;
  expect(stream.properties!["parallel"]!.anyOf).toContainEqual(variable);
  expect(stream.properties!["format"]!.anyOf).toContainEqual(variable);
  expect(stream.properties!["sink"]!.oneOf![0]!.properties!["forcePathStyle"]!.anyOf).toContainEqual(variable);
  expect(schema.additionalProperties).toBe(false);
  expect(JSON.stringify(schema)).not.toContain('"accepted"');
});

test("the manual has a row for every key", () => {
  const text = manual(definition);
  expect(keys.filter(([, key]) => !text.includes(`\n| \`${key}\` |`))).toEqual([]);
});
