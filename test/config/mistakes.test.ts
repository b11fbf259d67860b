import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/config/config.ts";
import { nearest } from "../../src/config/mistakes.ts";
import { errorOf, loadText, messageOf, oneStream, temporaryFolder } from "../support/config.ts";

const DURATION = "a duration with a unit, such as 90s, 5m, 1h30m or 7d, from";
const GRID = "a duration that divides an hour, such as 1m, 5m, 15m or 1h";
const INSTANT = "a time in UTC, in whole seconds, such as 2026-11-01T00:00:00Z; Pachca keeps events for 90 days";
const CRON = 'five cron fields, in UTC: minute, hour, day of month, month, day of week, such as "*/5 * * * *"';
const URL_ = "an http or https URL without user, query and fragment, such as";
const SOURCE_KEYS = "type, baseUrl, account, token, tokenFile, requestsPerSecond, caFile, filter, ownReads, pageLimit";
const SECRET = "the secret itself, usually as ${NAME} from the environment";
const SECRET_FILE = "the path of a file that contains only the secret";
const ID = 'text, such as "133321", in quotes: YAML reads digits as a number';

interface Case {
  readonly what: string;
  readonly text: string;
  readonly mistakes: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

const source = (keys: string) => oneStream({ source: `source: { type: pachca, token: t0ken, ${keys} }` });
const windows = (keys: string) => oneStream({ windows: `windows: { start: 2026-11-01T00:00:00Z, ${keys} }` });
const bucket = (keys: string) => oneStream({ sink: `sink: { type: s3, bucket: acme, ${keys} }` });

const CASES: readonly Case[] = [
  {
    what: "a misspelt key is reported with the key that was probably meant",
    text: windows("lga: 2m"),
    mistakes: [
      '4:45  streams[0].windows.lga: unknown key; did you mean "lag"?  (accepted: start, size, catchUpSize, lag, lookback)',
    ],
  },
  {
    what: "an unknown key that resembles no other has no suggestion",
    text: oneStream({}, "colour: red\n"),
    mistakes: ["6:1  colour: unknown key  (accepted: streams, stateDirectory, server, notify, shutdownGrace, log)"],
  },
  {
    what: "a missing key is reported at its mapping",
    text: oneStream({ windows: "windows: { lag: 2m }" }),
    mistakes: [`4:5  streams[0].windows.start: missing  (accepted: ${INSTANT})`],
  },
  {
    what: "a date is not an instant",
    text: oneStream({ windows: "windows: { start: 2026-11-01 }" }),
    mistakes: [`4:23  streams[0].windows.start: found "2026-11-01"  (accepted: ${INSTANT})`],
  },
  {
    what: "a start with a fraction of a second is refused",
    text: oneStream({ windows: "windows: { start: 2026-11-01T00:00:00.5Z }" }),
    mistakes: [`4:23  streams[0].windows.start: found "2026-11-01T00:00:00.5Z"  (accepted: ${INSTANT})`],
  },
  {
    what: "a duration needs a unit",
    text: windows("lag: 120"),
    mistakes: [`4:50  streams[0].windows.lag: found 120  (accepted: ${DURATION} 0s to 1d, in whole seconds)`],
  },
  {
    what: "a duration above its limit is refused",
    text: windows("lookback: 30d"),
    mistakes: [`4:55  streams[0].windows.lookback: found "30d"  (accepted: ${DURATION} 0s to 7d, in whole seconds)`],
  },
  {
    what: "a window's size must divide an hour",
    text: windows("size: 7m"),
    mistakes: [`4:51  streams[0].windows.size: found "7m"  (accepted: ${GRID})`],
  },
  {
    what: "a size larger than an hour does not divide it",
    text: windows("catchUpSize: 2h"),
    mistakes: [`4:58  streams[0].windows.catchUpSize: found "2h"  (accepted: ${GRID})`],
  },
  {
    what: "the size for catching up must be a multiple of the size, also if another key is wrong",
    text: windows("size: 15m, catchUpSize: 20m, lag: x"),
    mistakes: [
      "4:69  streams[0].windows.catchUpSize: not a multiple of size",
      `4:79  streams[0].windows.lag: found "x"  (accepted: ${DURATION} 0s to 1d, in whole seconds)`,
    ],
  },
  {
    what: "the wrong field of a schedule is reported",
    text: oneStream({ schedule: 'schedule: "0 25 * * *"' }),
    mistakes: [`3:15  streams[0].schedule: found "0 25 * * *" (wrong in the hour)  (accepted: ${CRON})`],
  },
  {
    what: "a schedule with seconds is refused",
    text: oneStream({ schedule: 'schedule: "* * * * * *"' }),
    mistakes: [`3:15  streams[0].schedule: found "* * * * * *" (6 fields)  (accepted: ${CRON})`],
  },
  {
    what: "a nickname of a schedule is refused",
    text: oneStream({ schedule: 'schedule: "@daily"' }),
    mistakes: [`3:15  streams[0].schedule: found "@daily" (1 field)  (accepted: ${CRON})`],
  },
  {
    what: "a name consists of lower-case letters, digits and dashes",
    text: oneStream({ name: "name: Acme_1" }),
    mistakes: ['2:11  streams[0].name: found "Acme_1"  (accepted: 1 to 63 of a-z, 0-9 and dash)'],
  },
  {
    what: "a name has at most 63 characters",
    text: oneStream({ name: `name: ${"a".repeat(64)}` }),
    mistakes: [`2:11  streams[0].name: found "${"a".repeat(60)}…"  (accepted: 1 to 63 of a-z, 0-9 and dash)`],
  },
  {
    what: "a number in place of text must be in quotes, and its digits are shown as written",
    text: source("filter: { actorId: 0123, entityId: 9007199254740993 }"),
    mistakes: [
      `3:62  streams[0].source.filter.actorId: found 0123  (accepted: ${ID})`,
      `3:78  streams[0].source.filter.entityId: found 9007199254740993  (accepted: ${ID})`,
    ],
  },
  {
    what: "a number in quotes is not a number",
    text: oneStream({ batch: 'batch: { maxEvents: "10" }' }),
    mistakes: ['5:25  streams[0].batch.maxEvents: found "10"  (accepted: a whole number from 1 to 1000000)'],
  },
  {
    what: "a number outside its limits is refused",
    text: source("requestsPerSecond: 0, pageLimit: 1001"),
    mistakes: [
      "3:62  streams[0].source.requestsPerSecond: found 0  (accepted: a number above 0, up to 1000)",
      "3:76  streams[0].source.pageLimit: found 1001  (accepted: a whole number from 1 to 1000)",
    ],
  },
  {
    what: "a size in bytes has a binary unit",
    text: oneStream({ batch: "batch: { maxBytes: 32MB }" }),
    mistakes: [
      '5:24  streams[0].batch.maxBytes: found "32MB"  (accepted: a size in B, KiB, MiB or GiB, such as 32MiB, from 64KiB to 1GiB)',
    ],
  },
  {
    what: "a choice in the wrong case has a suggestion",
    text: bucket("objectLock: { mode: compliance, retain: 1d }"),
    mistakes: [
      '5:57  streams[0].sink.objectLock.mode: found "compliance"; did you mean "COMPLIANCE"?  (accepted: COMPLIANCE, GOVERNANCE)',
    ],
  },
  {
    what: "a sink's type decides which keys it has",
    text: oneStream({ sink: "sink: { type: file, directory: out, bucket: acme }" }),
    mistakes: ["5:41  streams[0].sink.bucket: unknown key  (accepted: type, directory)"],
  },
  {
    what: "of a mapping with an unknown type, only the type is refused",
    text: oneStream({ sink: "sink: { type: S3, bukket: acme }" }),
    mistakes: ['5:19  streams[0].sink.type: found "S3"; did you mean "s3"?  (accepted: s3, file, syslog, stdout)'],
  },
  {
    what: "a missing type is reported",
    text: oneStream({ source: "source: { token: t0ken }" }),
    mistakes: ["3:5  streams[0].source.type: missing  (accepted: pachca, communications-mining)"],
  },
  {
    what: "a list in place of a mapping is refused",
    text: oneStream({ sink: "sink: [stdout]" }),
    mistakes: [
      "5:11  streams[0].sink: found a list of 1  (accepted: a mapping with the type of the sink and its keys)",
    ],
  },
  {
    what: "a key with no value in place of a mapping is refused",
    text: oneStream({}, "log:\n"),
    mistakes: ["6:5  log: found nothing  (accepted: a mapping of level)"],
  },
  {
    what: "a mistake in a mapping that could also be false is reported at its own key",
    text: oneStream({}, "server: { port: 70000 }\n"),
    mistakes: ["6:17  server.port: found 70000  (accepted: a whole number from 0 to 65535)"],
  },
  {
    what: "true is neither false nor a mapping",
    text: oneStream({}, "server: true\n"),
    mistakes: ["6:9  server: found true  (accepted: false, or a mapping of host, port, token, tokenFile)"],
  },
  {
    what: "a source must have a token",
    text: oneStream({ source: "source: { type: pachca }" }),
    mistakes: ["3:5  streams[0].source.token: missing  (accepted: token or tokenFile)"],
  },
  {
    what: "a source must have only one token, and a path without a slash is not shown, because it may be the token",
    text: source("tokenFile: s3cr3t"),
    mistakes: [
      `3:54  streams[0].source.tokenFile: found text, not shown here (no such file)  (accepted: ${SECRET_FILE})`,
      "3:54  streams[0].source.tokenFile: set together with token; keep only one of them",
    ],
  },
  {
    what: "a secret is never shown, whatever is wrong with it",
    text: oneStream({ source: 'source: { type: pachca, token: "s3cr3t s3cr3t" }' }),
    mistakes: [`3:36  streams[0].source.token: the secret contains a space; paste only the token, without \`Bearer\``],
  },
  {
    what: "a secret that YAML reads as a number is not shown",
    text: oneStream({ source: "source: { type: pachca, token: 123456 }" }),
    mistakes: [`3:36  streams[0].source.token: found a number, not shown here  (accepted: ${SECRET})`],
  },
  {
    what: "a secret without a space after the colon is not shown",
    text: oneStream({ source: "source: { type: pachca, token:s3cr3t }" }),
    mistakes: [
      "3:5  streams[0].source.token: missing  (accepted: token or tokenFile)",
      `3:29  streams[0].source["token…"]: unknown key; a colon needs a space after it  (accepted: ${SOURCE_KEYS})`,
    ],
  },
  {
    what: "a password in a URL is not shown",
    text: source("baseUrl: https://me:s3cr3t@api.example"),
    mistakes: [
      `3:52  streams[0].source.baseUrl: found "https://…@api.example"  (accepted: ${URL_} https://api.pachca.com/api/shared/v1)`,
    ],
  },
  {
    what: "an endpoint must be a URL",
    text: bucket("endpoint: minio.example"),
    mistakes: [`5:47  streams[0].sink.endpoint: found "minio.example"  (accepted: ${URL_} https://minio.example:9000)`],
  },
  {
    what: "a prefix must not start or end with a slash",
    text: bucket("prefix: audit/"),
    mistakes: [
      '5:45  streams[0].sink.prefix: found "audit/"  (accepted: a path without a slash at the start or end, such as audit/pachca)',
    ],
  },
  {
    what: "an access key's id requires its secret",
    text: bucket("accessKeyId: AKIA"),
    mistakes: ["5:5  streams[0].sink.secretAccessKey: required with accessKeyId; set both (or their …File) or neither"],
  },
  {
    what: "an access key's secret requires its id",
    text: bucket("secretAccessKey: s3cr3t"),
    mistakes: ["5:5  streams[0].sink.accessKeyId: required with secretAccessKey; set both (or their …File) or neither"],
  },
  {
    what: "a session token requires an access key, also in a ledger",
    text: oneStream({ ledger: "ledger: { type: s3, bucket: acme, sessionToken: s3cr3t }" }),
    mistakes: [
      "6:5  streams[0].ledger.accessKeyId: required with sessionToken; set accessKeyId and secretAccessKey too",
    ],
  },
  {
    what: "a KMS key requires encryption with KMS",
    text: bucket("kmsKeyId: k, serverSideEncryption: AES256"),
    mistakes: ["5:47  streams[0].sink.kmsKeyId: needs serverSideEncryption: aws:kms"],
  },
  {
    what: "a missing certificate file is reported",
    text: bucket("caFile: /nowhere/ca.pem"),
    mistakes: [
      '5:45  streams[0].sink.caFile: found "/nowhere/ca.pem" (no such file)  (accepted: the path of a readable file)',
    ],
  },
  {
    what: "an empty list of event keys, which would export nothing, is refused",
    text: source("filter: { eventKeys: [] }"),
    mistakes: ["3:64  streams[0].source.filter.eventKeys: found an empty list  (accepted: a list of 1 to 100 entries)"],
  },
  {
    what: "a file without streams is refused",
    text: "log: { level: info }\n",
    mistakes: ["1:1  streams: missing  (accepted: a list of 1 to 100 entries)"],
  },
  {
    what: "a list at the top level is refused",
    text: "- name: acme\n",
    mistakes: [
      "1:1  found a list of 1  (accepted: a mapping of streams, stateDirectory, server, notify, shutdownGrace, log)",
    ],
  },
  {
    what: "text at the top level is refused",
    text: "acme\n",
    mistakes: [
      '1:1  found "acme"  (accepted: a mapping of streams, stateDirectory, server, notify, shutdownGrace, log)',
    ],
  },
  {
    what: "a merge key is an unknown key",
    text: oneStream({}, "log: { <<: { level: info } }\n"),
    mistakes: ['6:8  log["…"]: unknown key  (accepted: level)'],
  },
  {
    what: "a property name of JavaScript's objects is an unknown key",
    text: oneStream({}, "constructor: 1\n__proto__: { level: info }\n"),
    mistakes: [
      "6:1  constructor: unknown key  (accepted: streams, stateDirectory, server, notify, shutdownGrace, log)",
      "7:1  __proto__: unknown key  (accepted: streams, stateDirectory, server, notify, shutdownGrace, log)",
    ],
  },
];

describe("mistakes in keys and values", () => {
  test.each(CASES)("$what", async ({ text, mistakes, env = {} }) => {
    expect(await messageOf(text, env)).toEqual([
      `exporter.yaml: ${mistakes.length} ${mistakes.length === 1 ? "mistake" : "mistakes"}`,
      ...mistakes.map((mistake) => `  exporter.yaml:${mistake}`),
    ]);
  });

  test("all mistakes are reported at once, in the order of the file, with a pointer to the manual", async () => {
    const text = `${oneStream({ name: "name: A", windows: "windows: {}" })}serverr: false\n`;
    const error = await errorOf(loadText(text));
    expect(error.message.match(/:\d+:\d+(?= {2})/g)).toEqual([":2:11", ":4:5", ":6:1"]);
    expect(error.hint).toBe("docs/configuration.md explains every key, config/exporter.example.yaml shows them");
    expect(error.code).toBe("config");
  });
});

describe("streams that conflict with each other", () => {
  const stream = (name: string, sink: string, more = "") =>
    `  - { name: ${name}, source: { type: pachca, token: t }, windows: { start: 2026-11-01T00:00:00Z }, sink: ${sink}${more} }\n`;
  const paths = async (...streams: string[]) => {
    const lines = await messageOf(`streams:\n${streams.join("")}`);
    return lines.slice(1).map((line) => line.replace(/^ +\S+ +/, ""));
  };

  test("two streams with the same name are refused", async () => {
    expect(
      await paths(stream("a", "{ type: file, directory: x }"), stream("a", "{ type: file, directory: y }")),
    ).toEqual(["streams[1].name: streams[0] has the same name; names must be unique"]);
  });

  test("a stream inside another stream's data is refused", async () => {
    const outer = stream("audit", "{ type: s3, bucket: acme }");
    expect(await paths(outer, stream("data", "{ type: s3, bucket: acme, prefix: audit }"))).toEqual([
      "streams[1].sink: writes to the same place as streams[0]; give each stream its own",
    ]);
    const folder = stream("audit", "{ type: file, directory: ./out }");
    expect(await paths(stream("data", "{ type: file, directory: out/audit/ }"), folder)).toEqual([
      "streams[1].sink: writes to the same place as streams[0]; give each stream its own",
    ]);
  });

  test("a ledger inside another stream's folder is refused", async () => {
    const first = stream("a", "{ type: file, directory: out }");
    const second = stream("b", "{ type: s3, bucket: acme }", ", ledger: { type: file, directory: out/a }");
    expect(await paths(first, second)).toEqual([
      "streams[1].ledger: writes to the same place as streams[0]; give each stream its own",
    ]);
  });

  test("two streams to standard output are refused", async () => {
    expect(await paths(stream("a", "{ type: stdout }"), stream("b", "{ type: stdout }"))).toEqual([
      "streams[1].sink: writes to the same place as streams[0]; give each stream its own",
    ]);
  });

  test("streams side by side in one bucket, one folder and one ledger folder are accepted", async () => {
    const ledger = ", ledger: { type: file, directory: ./out }";
    const config = await loadText(
      `streams:\n${stream("a", "{ type: s3, bucket: acme }", ledger)}${stream("ab", "{ type: s3, bucket: acme }", ledger)}` +
        stream("abc", "{ type: file, directory: ./out }"),
    );
    expect(config.streams.map(({ name }) => name)).toEqual(["a", "ab", "abc"]);
  });
});

describe("files that are not a configuration", () => {
  const first = async (text: string | Buffer) => (await messageOf(text)).at(-1);

  test.each([
    ["an empty file", "", "read configuration exporter.yaml: the file is empty"],
    ["only a comment", "# later\n", "read configuration exporter.yaml: the file is empty"],
    [
      "bytes that are not UTF-8",
      Buffer.from("name: \xe9", "latin1"),
      "read configuration exporter.yaml: not UTF-8 text",
    ],
    ["too many bytes", "#".repeat(256 * 1024 + 1), "read configuration exporter.yaml: larger than 262144 bytes"],
    ["thousands of brackets", "[".repeat(50_000), "read configuration exporter.yaml: nested too deeply"],
    ["thousands of dashes", "- ".repeat(50_000), "read configuration exporter.yaml: nested too deeply"],
    [
      "aliases of aliases of aliases",
      `${[
        "a: &a [x,x,x,x,x,x,x,x,x]",
        ..."bcdefghi".split("").map(
          (name, index) =>
            `${name}: &${name} [${Array(9)
              .fill(`*${"abcdefgh".charAt(index)}`)
              .join()}]`,
        ),
      ].join("\n")}\n`,
      "read configuration exporter.yaml: too many aliases (*)",
    ],
    ["two documents", "a: 1\n---\nb: 2\n", "  exporter.yaml:2:1  a second YAML document; keep only one"],
    ["a key twice", "a: 1\nb: 2\na: 3\n", "  exporter.yaml:3:1  duplicate key; keep only one of them"],
    ["a tab", "log:\n\tlevel: info\n", "  exporter.yaml:2:1  indented with a tab; use spaces"],
    [
      "an open bracket",
      "streams: [\n",
      "  exporter.yaml:2:1  not YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
  ])("%s", async (_, text, message) => {
    expect(await first(text)).toBe(message);
  });

  test.each([
    ["an unknown alias", "token: *s3cr3t"],
    ["an unknown tag", "token: !s3cr3t x"],
    ["an unknown escape", 'token: "\\s3cr3t"'],
    ["text after text", 'token: "a" s3cr3t'],
    ["text after a bracket", "token: [a] s3cr3t ]"],
    ["a reserved letter", "token: @s3cr3t"],
    ["a secret below its key, not indented", "token:\ns3cr3t\n"],
  ])("%s is reported without the file's text, which may be a secret", async (_, text) => {
    const lines = await messageOf(text);
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.join("\n")).not.toContain("s3cr3t");
  });

  test("a missing file is reported with how to create one", async () => {
    const error = await errorOf(loadConfig("/nowhere/exporter.yaml", {}));
    expect(error.message).toBe("read configuration /nowhere/exporter.yaml: no such file");
    expect(error.hint).toBe(
      "copy config/exporter.example.yaml to /nowhere/exporter.yaml, or name another file with --config",
    );
  });

  test("a directory is not a file", async () => {
    const folder = temporaryFolder();
    const error = await errorOf(loadConfig(folder, {}));
    expect(error.message).toBe(`read configuration ${folder}: a directory, not a file`);
  });

  test("a secret file that is a directory, empty, or has several lines is refused", async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, "directory"));
    writeFileSync(join(folder, "empty"), "\n");
    writeFileSync(join(folder, "lines"), "s3cr3t\ns3cr3t\n");
    const found = async (name: string) =>
      (await messageOf(oneStream({ source: `source: { type: pachca, tokenFile: ${join(folder, name)} }` })))[1];
    expect(await found("directory")).toContain("(not a regular file)");
    expect(await found("empty")).toContain("(it is empty)");
    expect(await found("lines")).toContain("(it contains a line break)");
  });

  test.skipIf(process.getuid?.() === 0)("a file without read permission is reported as such", async () => {
    const path = join(temporaryFolder(), "exporter.yaml");
    writeFileSync(path, oneStream());
    chmodSync(path, 0);
    expect((await errorOf(loadConfig(path, {}))).message).toContain("no permission to read it");
  });
});

test("a suggestion resembles what was written", () => {
  const keys = ["size", "catchUpSize", "lag", "lookback"];
  expect(["lga", "LAG", "catchupsize", "look_back", "sizes"].map((word) => nearest(word, keys))).toEqual([
    "lag",
    "lag",
    "catchUpSize",
    "lookback",
    "size",
  ]);
  expect(["x", "colour", "window", ""].map((word) => nearest(word, keys))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});
