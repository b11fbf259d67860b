import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SinkConfig } from "../../src/sinks/index.ts";
import { RefusedError } from "../../src/errors.ts";
import { parseInstant } from "../../src/time.ts";
import { errorOf, loadText, oneStream, temporaryFolder } from "../support/config.ts";

async function stream(changes: Readonly<Record<string, string>> = {}, env: NodeJS.ProcessEnv = {}) {
  const { streams } = await loadText(oneStream(changes), env);
  return streams[0]!;
}

type S3Config = Extract<SinkConfig, { type: "s3" }>;
const s3 = async (keys: string, env: NodeJS.ProcessEnv = {}) =>
  (await stream({ sink: `sink: { type: s3, bucket: acme, ${keys} }` }, env)).sink as S3Config;

describe("a configuration with only the required keys", () => {
  test("has the defaults of the manual", async () => {
    const config = await loadText(oneStream());
    expect(config).toEqual({
      streams: [
        {
          name: "acme",
          schedule: "*/5 * * * *",
          source: {
            type: "pachca",
            baseUrl: "https://api.pachca.com/api/shared/v1",
            account: "",
            token: expect.any(Function) as () => string,
            requestsPerSecond: 50,
            filter: {},
            ownReads: "keep",
            pageLimit: 50,
          },
          windows: {
            start: parseInstant("2026-11-01T00:00:00Z"),
            sizeMs: 300_000,
            catchUpSizeMs: 3_600_000,
            lagMs: 120_000,
            lookbackMs: 900_000,
          },
          parallel: 16,
          batch: { maxEvents: 50_000, maxBytes: 33_554_432, maxEventBytes: 16 * 1024 ** 2 },
          format: "raw",
          severities: {},
          sink: { type: "stdout" },
        },
      ],
      stateDirectory: "./state",
      server: { host: "127.0.0.1", port: 9464 },
      notify: {},
      shutdownGraceMs: 5000,
      log: { level: "info" },
    });
    expect(config.streams[0]!.source.token()).toBe("t0ken");
  });

  test("is deeply frozen", async () => {
    const config = await loadText(oneStream());
    expect(() => Object.assign(config.streams[0]!.windows, { lagMs: 0 })).toThrow(TypeError);
    expect(() => (config.streams as unknown[]).push(1)).toThrow(TypeError);
  });
});

describe("values", () => {
  test("durations, sizes and instants become numbers, with their units in the names", async () => {
    const { windows, batch } = await stream({
      windows: "windows: { start: 2026-11-01T02:00:00+02:00, size: 1m, catchUpSize: 30m, lag: 0s, lookback: 1h30m }",
      batch: "batch: { maxBytes: 1GiB }",
    });
    expect(windows).toEqual({
      start: parseInstant("2026-11-01T00:00:00Z"),
      sizeMs: 60_000,
      catchUpSizeMs: 1_800_000,
      lagMs: 0,
      lookbackMs: 5_400_000,
    });
    expect(batch).toEqual({ maxEvents: 50_000, maxBytes: 1024 ** 3, maxEventBytes: 16 * 1024 ** 2 });
  });

  test("slashes at the end of a URL are removed, so that equal URLs are equal text", async () => {
    const { source } = await stream({
      source: "source: { type: pachca, token: t, baseUrl: HTTP://LocalHost:8080/api// }",
    });
    expect(source.baseUrl).toBe("http://localhost:8080/api");
  });

  test("ids in quotes stay as they are", async () => {
    const { source } = await stream({
      source: 'source: { type: pachca, token: t, filter: { actorId: "0123", eventKeys: [user_login, made_up] } }',
    });
    expect(source).toHaveProperty("filter", { actorId: "0123", eventKeys: ["user_login", "made_up"] });
  });

  test("the server can be turned off", async () => {
    expect((await loadText(oneStream({}, "server: false\n"))).server).toBe(false);
    expect((await loadText(oneStream({}, "server: {}\n"))).server).toEqual({ host: "127.0.0.1", port: 9464 });
  });

  test("anchors and aliases work", async () => {
    const text = `${oneStream({ windows: "windows: &w { start: 2026-11-01T00:00:00Z, size: 1m }" })}
  - name: other
    source: { type: pachca, token: t }
    windows: *w
    sink: { type: file, directory: out }
`;
    const { streams } = await loadText(text);
    expect(streams[1]!.windows).toEqual(streams[0]!.windows);
  });

  test("JSON is accepted, also with a byte order mark", async () => {
    const streams = [
      {
        name: "acme",
        source: { type: "pachca", token: "t" },
        windows: { start: "2026-11-01T00:00:00Z" },
        sink: { type: "stdout" },
      },
    ];
    expect((await loadText(`\ufeff${JSON.stringify({ streams }, null, "\t")}`)).streams[0]!.name).toBe("acme");
  });
});

describe("a bucket", () => {
  test("is addressed by path if it has an endpoint, unless forcePathStyle is set", async () => {
    expect((await s3("")).forcePathStyle).toBe(false);
    expect((await s3("endpoint: http://127.0.0.1:9000/")).forcePathStyle).toBe(true);
    expect((await s3("endpoint: http://127.0.0.1:9000, forcePathStyle: false")).forcePathStyle).toBe(false);
    expect((await s3("endpoint: http://127.0.0.1:9000/")).endpoint).toBe("http://127.0.0.1:9000");
  });

  test("has the region of the file, or else of the environment, as in AWS's own tools", async () => {
    expect((await s3("region: eu-west-1", { AWS_REGION: "us-east-1" })).region).toBe("eu-west-1");
    expect((await s3("", { AWS_REGION: "us-east-1", AWS_DEFAULT_REGION: "x" })).region).toBe("us-east-1");
    expect((await s3("", { AWS_DEFAULT_REGION: "us-east-2" })).region).toBe("us-east-2");
    expect((await s3("")).region).toBeUndefined();
  });

  test("of a ledger has the keys of a sink", async () => {
    const { ledger } = await stream(
      { ledger: "ledger: { type: s3, bucket: ledgers, prefix: a/b }" },
      { AWS_REGION: "r" },
    );
    expect(ledger).toMatchObject({ type: "s3", bucket: "ledgers", prefix: "a/b", region: "r", forcePathStyle: false });
  });

  test("can have each part of its access key in a file", async () => {
    const file = join(temporaryFolder(), "secret");
    writeFileSync(file, "from-file\n");
    const sink = await s3(`accessKeyId: AKIA, secretAccessKeyFile: ${file}, sessionTokenFile: ${file}`);
    expect([sink.accessKeyId?.(), sink.secretAccessKey?.(), sink.sessionToken?.()]).toEqual([
      "AKIA",
      "from-file",
      "from-file",
    ]);
  });

  test("can lock its objects for a time", async () => {
    const { objectLock } = await s3("objectLock: { mode: COMPLIANCE, retain: 365d }");
    expect(objectLock).toEqual({ mode: "COMPLIANCE", retainMs: 31_536_000_000 });
  });
});

describe("a secret in a file", () => {
  async function secretIn(content: string) {
    const file = join(temporaryFolder(), "token");
    writeFileSync(file, content);
    const { source } = await stream({ source: `source: { type: pachca, tokenFile: ${file} }` });
    return { file, token: source.token };
  }

  test("is read at each use, so that a new one is used", async () => {
    const { file, token } = await secretIn("old\n");
    expect(token()).toBe("old");
    writeFileSync(file, "new\r\n");
    expect(token()).toBe("new");
  });

  test("that is deleted later is a refusal, not a crash", async () => {
    const { file, token } = await secretIn("old");
    rmSync(file);
    expect(token).toThrow(RefusedError);
    expect(token).toThrow(`read secret file ${file}: no such file`);
    try {
      token();
    } catch (error) {
      expect(error).toMatchObject({ code: "unauthorized", cause: { code: "ENOENT" } });
    }
  });

  test("that is empty or invalid later is a refusal that does not show its content", async () => {
    const { file, token } = await secretIn("old");
    writeFileSync(file, "");
    expect(token).toThrow(`read secret file ${file}: it is empty`);
    writeFileSync(file, "s3cr3t s3cr3t");
    expect(token).toThrow(/it contains a space/);
    expect(token).not.toThrow(/s3cr3t/);
  });

  test("loses only one newline", async () => {
    const { file, token } = await secretIn("old");
    writeFileSync(file, "old\n\n");
    expect(token).toThrow(/it contains a line break/);
  });
});

describe("secrets that are read when used", () => {
  const load = (text: string, env: NodeJS.ProcessEnv = {}) => loadText(text, env, "read when used");
  const source = (keys: string) => oneStream({ source: `source: { type: pachca, ${keys} }` });

  test.each([
    ['token: "${PACHCA_TOKEN}"', "token: ${PACHCA_TOKEN} is not set; set PACHCA_TOKEN in the environment or in .env"],
    ['token: "Bearer${PACHCA_TOKEN}"', "token: ${PACHCA_TOKEN} is not set"],
    ["tokenFile: /nowhere/token", 'tokenFile: found "/nowhere/token" (no such file)'],
    ['tokenFile: "${FOLDER}/token"', "tokenFile: ${FOLDER} is not set"],
  ])("do not stop the configuration from loading: { %s }", async (keys, mistake) => {
    const error = await errorOf(load(source(keys)).then(({ streams }) => streams[0]!.source.token()));
    expect(error.message).toMatch(/exporter\.yaml: 1 mistake\n {2}.*exporter\.yaml:3:\d+ {2}streams\[0\]\.source\./);
    expect(error.message).toContain(`streams[0].source.${mistake}`);
    expect((await errorOf(loadText(source(keys)))).message).toContain(mistake);
  });

  test("fail one by one: the others can be used", async () => {
    const sink = "sink: { type: s3, bucket: acme, accessKeyId: '${ID}', secretAccessKey: '${KEY}' }";
    const config = await load(oneStream({ sink }, "server: { token: '${STATUS}' }\n"), { ID: "AKIA", STATUS: "s" });
    const { accessKeyId, secretAccessKey } = config.streams[0]!.sink as S3Config;
    expect([accessKeyId?.(), config.server !== false && config.server.token?.()]).toEqual(["AKIA", "s"]);
    expect(secretAccessKey).toThrow("streams[0].sink.secretAccessKey: ${KEY} is not set");
  });

  test("do not hide other mistakes, such as unset variables that are not secrets", async () => {
    const text = oneStream({
      source: "source: { type: pachca, token: '${T}', account: '${A}' }",
      batch: "batch: { maxEvents: 0 }",
    });
    const { message } = await errorOf(load(text));
    expect(message.match(/streams\[0\]\.[\w.]+/g)).toEqual(["streams[0].source.account", "streams[0].batch.maxEvents"]);
  });

  test("include key and certificate files: their paths are kept", async () => {
    const ledger = "ledger: { type: beside, signingKeyFile: /nowhere/signing.key }";
    const text = oneStream({
      source: "source: { type: pachca, token: t, caFile: '${FOLDER}/ca.pem' }",
      sink: "sink: { type: syslog, transport: tls, host: h, certFile: /nowhere/a.pem, keyFile: '${KEY}' }",
      ledger,
    });
    const { streams } = await load(text, { FOLDER: "/nowhere" });
    expect(streams[0]).toMatchObject({
      source: { caFile: "/nowhere/ca.pem" },
      sink: { tls: { certFile: "/nowhere/a.pem", keyFile: "${KEY}" } },
      ledger: { signingKeyFile: "/nowhere/signing.key" },
    });
    const { message } = await errorOf(loadText(text, { FOLDER: "/nowhere" }));
    expect(message.match(/streams\[0\]\.[\w.]+/g)).toEqual([
      "streams[0].source.caFile",
      "streams[0].sink.certFile",
      "streams[0].sink.keyFile",
      "streams[0].ledger.signingKeyFile",
    ]);
  });

  test("must still be configured by exactly one of two keys", async () => {
    expect((await errorOf(load(source("account: a")))).message).toContain("source.token: missing");
    expect((await errorOf(load(source("token: t, tokenFile: /nowhere")))).message).toContain("set together with token");
  });
});
