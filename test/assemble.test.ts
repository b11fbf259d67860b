import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { assemble, type Stream } from "../src/assemble.ts";
import type { SecretsAre } from "../src/config/config.ts";
import { ConfigError } from "../src/errors.ts";
import { FORMATS } from "../src/formats/index.ts";
import type { Draft } from "../src/ledger/ledger.ts";
import { loadText, oneStream, temporaryFolder } from "./support/config.ts";
import { at } from "./support/world.ts";

const now = at("2026-11-20T00:00:00Z");

async function assembled(text: string, secrets: SecretsAre = "required"): Promise<Stream[]> {
  return assemble(await loadText(text, {}, secrets), { env: {}, observe: () => undefined, now, secrets });
}

async function only(text: string): Promise<Stream> {
  const [stream] = await assembled(text);
  return stream!;
}

test("a stream to a folder has its objects and its ledger in a folder with its name", async () => {
  const { pipeline, ledgerStore, dataStore } = await only(
    oneStream({ sink: "sink: { type: file, directory: /data }" }),
  );
  expect(pipeline.name).toBe("acme");
  expect(dataStore?.place).toBe("/data/acme");
  expect(ledgerStore.place).toBe("/data/acme/ledger");
  expect(pipeline.sink.place).toBe("/data/acme");
});

test("a stream to a bucket has its objects and its ledger below the prefix and its name", async () => {
  const { ledgerStore, dataStore } = await only(
    oneStream({ sink: "sink: { type: s3, bucket: archive, prefix: audit/pachca, region: eu-central-1 }" }),
  );
  expect(dataStore?.place).toBe("s3://archive/audit/pachca/acme");
  expect(ledgerStore.place).toBe("s3://archive/audit/pachca/acme/ledger");
  const whole = await only(oneStream({ sink: "sink: { type: s3, bucket: archive, region: eu-central-1 }" }));
  expect(whole.dataStore?.place).toBe("s3://archive/acme");
});

test("a sink without objects has its ledger in the state directory", async () => {
  const { ledgerStore, dataStore } = await only(oneStream({}, "stateDirectory: /state\n"));
  expect(dataStore).toBeUndefined();
  expect(ledgerStore.place).toBe("/state/acme/ledger");
});

test("a ledger in another place does not move the objects", async () => {
  const { ledgerStore, dataStore } = await only(
    oneStream({
      sink: "sink: { type: s3, bucket: archive, region: eu-central-1 }",
      ledger: "ledger: { type: file, directory: /ledgers }",
    }),
  );
  expect(dataStore?.place).toBe("s3://archive/acme");
  expect(ledgerStore.place).toBe("/ledgers/acme/ledger");
});

test("a start in the future is refused with both times", async () => {
  const text = oneStream({ windows: "windows: { start: 2026-11-20T00:00:01Z }" });
  const failure = assembled(text);
  await expect(failure).rejects.toBeInstanceOf(ConfigError);
  await expect(failure).rejects.toMatchObject({
    message: expect.stringContaining("2026-11-20T00:00:01Z") as string,
    hint: expect.stringContaining("2026-11-20T00:00:00Z") as string,
  });
  const onTime = await only(oneStream({ windows: "windows: { start: 2026-11-20T00:00:00Z }" }));
  expect(onTime.pipeline.windows.start).toBe(now);
});

test("a file that contains no signing key is refused at once", async () => {
  const ledger = "ledger: { type: beside, signingKeyFile: package.json }";
  await expect(only(oneStream({ ledger }))).rejects.toThrow("it contains no Ed25519 private key in PEM");
});

test("a source's certificate authorities are read at once", async () => {
  const source = "source: { type: pachca, token: t0ken, caFile: package.json }";
  await expect(only(oneStream({ source }))).rejects.toThrow("read package.json: it contains no certificate");
});

test("reading the archive requires neither the signing key nor the source's certificate authorities", async () => {
  const text = oneStream({
    source: "source: { type: pachca, token: t0ken, caFile: /nowhere/ca.pem }",
    sink: `sink: { type: file, directory: ${temporaryFolder()} }`,
    ledger: "ledger: { type: beside, signingKeyFile: /nowhere/signing.key }",
  });
  const [stream] = await assembled(text, "read when used");
  const { pipeline } = stream!;
  const never = new AbortController().signal;
  expect(await pipeline.ledger.head(never)).toMatchObject({ seq: 0 });
  await expect(pipeline.ledger.commit({} as Draft, never)).rejects.toThrow(
    "read the private key /nowhere/signing.key: ENOENT",
  );
});

test("the fingerprint depends on the account and the selection, and not on the token", async () => {
  const source = (more: string) => oneStream({ source: `source: { type: pachca, token: t0ken${more} }` });
  const fingerprints = await Promise.all(
    [
      source(""),
      source(", account: other"),
      source(", ownReads: drop"),
      oneStream({ source: "source: { type: pachca, token: another }" }),
    ].map(async (text) => (await only(text)).pipeline.fingerprint),
  );
  const [plain, account, selection, token] = fingerprints as [string, string, string, string];
  expect(token).toBe(plain);
  expect(account.slice(0, 16)).not.toBe(plain.slice(0, 16));
  expect(selection.slice(0, 16)).toBe(plain.slice(0, 16));
  expect(selection).not.toBe(plain);
});

test("assembling streams creates no folder and sends no request", async () => {
  const folder = join(temporaryFolder(), "out");
  await only(
    oneStream({
      source: "source: { type: pachca, token: t0ken, baseUrl: http://127.0.0.1:1 }",
      sink: `sink: { type: file, directory: ${folder} }`,
    }),
  );
  expect(existsSync(folder)).toBe(false);
});

test("a stream from Communications Mining to a syslog receiver has its ledger in the state directory", async () => {
  const { pipeline, ledgerStore, dataStore, format } = await only(
    oneStream(
      {
        source: "source: { type: communications-mining, token: t0ken, baseUrl: https://acme.reinfer.io }",
        batch: "format: cef\n    severities: { get_datasets: 9 }",
        sink: "sink: { type: syslog, transport: relp, host: siem.example }",
      },
      "stateDirectory: /state\n",
    ),
  );
  expect(pipeline.source.identity).toEqual({
    type: "communications-mining",
    baseUrl: "https://acme.reinfer.io",
    account: "",
  });
  expect([ledgerStore.place, dataStore, pipeline.sink.place]).toEqual([
    "/state/acme/ledger",
    undefined,
    "relp://siem.example:2514",
  ]);
  const line = format.line({ id: "1", time: now, key: "get_datasets", record: Buffer.from('{"event_id":"1"}') });
  expect(line.toString()).toMatch(/^CEF:0\|UiPath\|[^|]*\|[^|]*\|get_datasets\|Get datasets\|9\|/);
});

test("a stream reads lines of all formats, whatever format it writes", async () => {
  const formats = await Promise.all(
    FORMATS.map(async ({ name }) => (await only(oneStream({ batch: `format: ${name}` }))).format),
  );
  const record = Buffer.from('{"id":"a1","created_at":"2026-11-20T00:00:00.000Z","event_key":"user_login"}');
  const event = { id: "a1", time: now, key: "user_login", record };
  for (const writer of formats) {
    for (const reader of formats) {
      expect(reader.read(writer.line(event))).toMatchObject({ id: "a1", time: now, key: "user_login" });
    }
  }
});
