import { expect, test } from "vitest";
import type { FormatDefinition } from "../../src/formats/define.ts";
import { FORMATS } from "../../src/formats/index.ts";
import { defineSink, type SinkDefinition } from "../../src/sinks/define.ts";
import { ledgerSettings, SINKS, sinkSettings } from "../../src/sinks/index.ts";

test("a sink or a format without an implementation does not compile", () => {
  const nowhere = { type: "nowhere", about: "Nowhere.", guarantee: "nothing", keys: {} } as const;
  // @ts-expect-error: it has only a type
  const [named]: readonly SinkDefinition[] = [{ type: "nowhere" }];
  // @ts-expect-error: it has a schema, but neither open() nor send()
  const [described]: readonly SinkDefinition[] = [{ ...nowhere, settings: SINKS[3].settings }];
  // @ts-expect-error: the same, through defineSink
  const defined = defineSink(nowhere);
  // @ts-expect-error: it has no of()
  const [format]: readonly FormatDefinition[] = [{ ...FORMATS[0], of: undefined }];
  expect([named?.type, described?.type, defined.type, format?.name]).toEqual(["nowhere", "nowhere", "nowhere", "raw"]);
});

test("a sink that keeps objects can hold a ledger, others cannot", () => {
  const types = ["s3", "file"];
  expect(SINKS.filter((sink) => "open" in sink).map(({ type }) => type)).toEqual(types);
  const file = { type: "file", directory: "out" };
  expect(ledgerSettings.parse({ ...file, signingKeyFile: "package.json" })).toEqual({
    ...file,
    signingKeyFile: "package.json",
  });
  expect(sinkSettings.safeParse({ ...file, signingKeyFile: "package.json" }).success).toBe(false);
  expect(ledgerSettings.safeParse({ type: "stdout" }).success).toBe(false);
});
