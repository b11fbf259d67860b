import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";

let stage: Stage;
const ends: (() => Promise<void>)[] = [];
beforeAll(async () => {
  stage = await openStage({}, (close) => ends.push(close));
  expect(await stage.run(["once"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  for (const end of ends) await end();
});

const firstStream = () => (stage.settings as { streams: [{ source: Record<string, unknown> }] }).streams[0];

const READING: [string[], string][] = [
  [["verify"], "✓ nothing wrong"],
  [["gc"], "nothing to remove"],
  [["quarantine", "list"], "nothing in quarantine"],
  [["status"], "demo"],
];

describe.each([
  ["a variable that is not set", { token: "${NONESUCH}" }, /exporter\.yaml:\d+:\d+.*token.*\$\{NONESUCH\} is not set/],
  ["a file that is missing", { tokenFile: "./nonesuch.txt" }, /exporter\.yaml:\d+:\d+.*tokenFile.*nonesuch\.txt/],
])("with a token in %s", (_, secret, mistake) => {
  beforeAll(() => {
    const { token: __, ...source } = firstStream().source;
    stage.write({ ...stage.settings, streams: [{ ...firstStream(), source: { ...source, ...secret } }] });
  });

  test.each(READING)("%j needs no token", async (args, said) => {
    const { code, stdout, stderr } = await stage.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(said);
  });

  test.each([[["run"]], [["once"]]])("%j fails at the start and says where the mistake is", async (args) => {
    const { code, stdout, stderr } = await stage.run(args);
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    expect(stderr).toMatch(mistake);
  });

  test("check fails and says where the mistake is", async () => {
    const { code, stdout } = await stage.run(["check"]);
    expect(code).toBe(78);
    expect(stdout).toMatch(mistake);
  });
});

describe("without the signing key and the source's certificate authorities", () => {
  beforeAll(() => {
    const { source, ...stream } = firstStream();
    const ledger = { type: "beside", signingKeyFile: "./nonesuch.key" };
    stage.write({
      ...stage.settings,
      streams: [{ ...stream, source: { ...source, caFile: "./nonesuch.pem" }, ledger }],
    });
  });

  test.each(READING)("%j reads the archive", async (args, said) => {
    const { code, stdout, stderr } = await stage.run(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(said);
  });

  test.each([[["run"]], [["once"]]])("%j fails at the start and names both", async (args) => {
    const { code, stdout, stderr } = await stage.run(args);
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    expect(stderr).toMatch(/source\.caFile: found "\.\/nonesuch\.pem" \(no such file\)/);
    expect(stderr).toMatch(/ledger\.signingKeyFile: found "\.\/nonesuch\.key" \(no such file\)/);
  });
});
