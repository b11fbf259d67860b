import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { errorOf, loadText, messageOf, oneStream, temporaryFolder } from "../support/config.ts";

const here = process.cwd();
let folder = "";
beforeEach(() => {
  folder = temporaryFolder();
  process.chdir(folder);
});
afterEach(() => {
  process.chdir(here);
});

const withToken = (token: string) => oneStream({ source: `source:\n      type: pachca\n      token: ${token}` });

async function tokenOf(written: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { streams } = await loadText(withToken(written), env);
  return streams[0]!.source.token();
}

describe("a variable", () => {
  test("is replaced alone, within text and in quotes", async () => {
    expect(await tokenOf("${T}", { T: "abc" })).toBe("abc");
    expect(await tokenOf('"${T}"', { T: "abc" })).toBe("abc");
    expect(await tokenOf("<${T}-${U}>", { T: "abc", U: "def" })).toBe("<abc-def>");
  });

  test("has a default that is used if it is empty or not set", async () => {
    expect(await tokenOf("${T:-other}", {})).toBe("other");
    expect(await tokenOf("${T:-other}", { T: "" })).toBe("other");
    expect(await tokenOf("${T:-other}", { T: "abc" })).toBe("abc");
    const { streams } = await loadText(oneStream({ source: 'source: { type: pachca, token: t, account: "${T:-}" }' }));
    expect(streams[0]!.source.account).toBe("");
  });

  test("is literal text when written with two dollar signs", async () => {
    expect(await tokenOf("'$${T}$'", {})).toBe("${T}$");
    expect(await tokenOf("$T", { T: "abc" })).toBe("$T");
  });

  test("is not replaced again if its value contains another", async () => {
    expect(await tokenOf("${T}", { T: "${U}", U: "no" })).toBe("${U}");
  });

  test("cannot add keys to the file, whatever its value is", async () => {
    const env = { A: '" }\nserver: false\nlog: { level: trace }\n#' };
    const config = await loadText(oneStream({}, "log: { level: '${L:-info}' }\nstateDirectory: ${A}\n"), env);
    expect(config.stateDirectory).toBe(env.A);
    expect(config.server).not.toBe(false);
  });

  test("stays text where text is expected, even if it looks like a number or a boolean", async () => {
    expect(await tokenOf("${T}", { T: "0123" })).toBe("0123");
    expect(await tokenOf("${T}", { T: "true" })).toBe("true");
  });

  test("becomes a number or a boolean where one is expected and the value is nothing else", async () => {
    const rest = "server:\n  port: ${PORT}\n";
    expect((await loadText(oneStream({}, rest), { PORT: "8080" })).server).toEqual({ host: "127.0.0.1", port: 8080 });
    expect((await loadText(oneStream({}, "server: ${SERVER:-false}\n"))).server).toBe(false);
    const { streams } = await loadText(
      oneStream({
        sink: "sink: { type: s3, bucket: acme, forcePathStyle: '${P}' }",
        batch: "batch: { maxEvents: '${N}' }",
      }),
      { P: "true", N: "7" },
    );
    expect(streams[0]).toMatchObject({ sink: { forcePathStyle: true }, batch: { maxEvents: 7 } });
    expect(await messageOf(oneStream({}, 'server: { port: "1${PORT}" }\n'), { PORT: "080" })).toEqual([
      "exporter.yaml: 1 mistake",
      "  exporter.yaml:6:17  server.port: found the value of ${PORT}  (accepted: a whole number from 0 to 65535)",
    ]);
    expect((await messageOf(oneStream({}, "server: ${S}\n"), { S: "0x10" }))[1]).toMatch(/server: found the value of/);
  });

  test("in an anchor is replaced once for all its aliases", async () => {
    const { streams } = await loadText(
      oneStream({ source: "source: { type: pachca, token: &t '${T}', account: *t }" }),
      { T: "$${T}" },
    );
    expect(streams[0]!.source.account).toBe("$${T}");
  });
});

describe("a mistake with a variable", () => {
  test("within brackets and without quotes is reported once", async () => {
    expect(await messageOf(oneStream({ source: "source: { type: pachca, token: ${T} }" }), { T: "abc" })).toEqual([
      "exporter.yaml: 1 mistake",
      '  exporter.yaml:3:37  a variable within { } or [ ] must be in quotes: "${NAME}"',
    ]);
  });

  test("that is not set is reported where it is used, and its consequences are not", async () => {
    expect(await messageOf(withToken("${PACHCA_TOKEN}"))).toEqual([
      "exporter.yaml: 1 mistake",
      "  exporter.yaml:5:14  streams[0].source.token: ${PACHCA_TOKEN} is not set; set PACHCA_TOKEN in the environment or in .env",
    ]);
  });

  test("in a list is reported at its index", async () => {
    const text = oneStream({ source: "source: { type: pachca, token: t, filter: { eventKeys: [a, '${K}'] } }" });
    expect((await messageOf(text))[1]).toMatch(/streams\[0\]\.source\.filter\.eventKeys\[1\]: \$\{K\} is not set/);
  });

  test.each(["${", "${}", "${1A}", "${A:x}", "${A B}"])(
    "that is written as %s is reported with how to write it",
    async (written) => {
      expect(await messageOf(withToken(`"${written}"`), { A: "1" })).toContain(
        "  exporter.yaml:5:14  streams[0].source.token: must be ${NAME} or ${NAME:-default}; for a literal ${ write $${",
      );
    },
  );

  test("never shows its value, whatever the key is", async () => {
    const env = { X: "s3cr3t s3cr3t" };
    const keys = "type: s3, bucket: '${X}', prefix: '/${X}', region: '${X}', endpoint: '${X}', accessKeyId: '${X}'";
    const text = oneStream(
      {
        name: "name: ${X}",
        schedule: "schedule: ${X}",
        source:
          "source: { type: pachca, token: '${X}', baseUrl: '${X}', tokenFile: '/${X}', requestsPerSecond: '${X}' }",
        windows: "windows: { start: '${X}', size: '${X}', lag: '${X}' }",
        sink: `sink: { ${keys}, secretAccessKeyFile: '\${X}', caFile: '\${X}' }`,
        ledger: "ledger: { type: '${X}' }",
      },
      "log: { level: '${X}' }\nserver: ${X}\n",
    );
    const message = (await messageOf(text, env)).join("\n");
    expect(message.match(/found the value of \$\{X\}|: X contains a space;/g)?.length).toBeGreaterThanOrEqual(17);
    expect(message).not.toContain("s3cr3t");
  });

  test("that is empty in place of a secret is reported as empty", async () => {
    expect((await messageOf(withToken("${T}"), { T: "" }))[1]).toMatch(/source\.token: T is empty$/);
  });

  test("that has the name of a property of JavaScript's objects is not set", async () => {
    expect((await messageOf(withToken("${constructor}")))[1]).toMatch(/\$\{constructor\} is not set/);
  });
});

describe(".env in the working directory", () => {
  test("is read, and the environment overrides it", async () => {
    writeFileSync(join(folder, ".env"), '# comment\nexport T="from file"\nU=file # note\nAWS_REGION=eu-west-1\n');
    expect(await tokenOf("${U}", {})).toBe("file");
    expect(await tokenOf("${U}", { U: "environment" })).toBe("environment");
    const { streams } = await loadText(oneStream({ sink: "sink: { type: s3, bucket: '${T:-x}acme' }" }), { T: "" });
    expect(streams[0]!.sink).toMatchObject({ bucket: "xacme", region: "eu-west-1" });
  });

  test("does not change the environment of this process", async () => {
    writeFileSync(join(folder, ".env"), "SIEM_EXPORT_TEST=1\n");
    await tokenOf("${SIEM_EXPORT_TEST}", {});
    expect(process.env["SIEM_EXPORT_TEST"]).toBeUndefined();
  });

  test("that cannot be read is an error", async () => {
    mkdirSync(join(folder, ".env"));
    const error = await errorOf(loadText(withToken("abc")));
    expect(error.message).toBe("read .env: a directory, not a file");
  });

  test("relative paths are relative to the working directory", async () => {
    writeFileSync(join(folder, "token"), "abc\n");
    const { streams } = await loadText(oneStream({ source: "source: { type: pachca, tokenFile: ./token }" }));
    expect(streams[0]!.source.token()).toBe("abc");
  });
});
