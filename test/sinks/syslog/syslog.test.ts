import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, copyFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsOptions as ServerOptions } from "node:tls";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { Finding } from "../../../src/source.ts";
import { TRANSPORTS, type SyslogOptions, type SyslogTransport } from "../../../src/sinks/syslog/syslog.ts";
import { makeCertificates, type Certificate, type Certificates } from "../../support/certificates.ts";
import { closedPort, octetReceiver, relpReceiver, serverThat, udpReceiver, usualAnswer } from "../../support/syslog.ts";
import { never } from "../../support/world.ts";
import { batchOf, digestOf, sinkTo, someEvents, type Facts } from "./batch.ts";

const OVER_TLS = TRANSPORTS.filter((transport) => transport.includes("tls"));
const PLAIN = TRANSPORTS.filter((transport) => !transport.includes("tls"));

let folder: string;
let certificates: Certificates;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "syslog-"));
  certificates = makeCertificates(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const ofServer = ({ certFile, keyFile }: Certificate): ServerOptions => ({
  cert: readFileSync(certFile),
  key: readFileSync(keyFile),
});

/** Requires a certificate of the authority from each client. */
const mutual = (): ServerOptions => ({
  ...ofServer(certificates.server),
  ca: readFileSync(certificates.caFile),
  requestCert: true,
  rejectUnauthorized: true,
});

const trusting = (): NonNullable<SyslogOptions["tls"]> => ({ caFile: certificates.caFile, checkServerName: true });
const withClient = ({ certFile, keyFile }: Certificate) => ({ ...trusting(), certFile, keyFile });

async function findingsOf(port: number, options: Partial<SyslogOptions>): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of sinkTo({ port }, options).check(never)) found.push(finding);
  return found;
}

/** The one finding, which must be a failure with a hint. */
async function failureOf(port: number, options: Partial<SyslogOptions>): Promise<Finding> {
  const found = await findingsOf(port, options);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ state: "failed" });
  expect(found[0]?.hint).toBeTruthy();
  return found[0]!;
}

test("deliveries are counted over the parts of a window, and from zero when the window starts again", async () => {
  const sink = sinkTo(await octetReceiver());
  const events = someEvents(30);
  const [first, second] = [events.slice(0, 20), events.slice(20)];
  expect(await sink.write(batchOf(first, 0), never)).toEqual({
    delivered: { lines: 20, contentSha256: digestOf(first), acknowledged: false },
  });
  const whole = { delivered: { lines: 30, contentSha256: digestOf(events), acknowledged: false } };
  expect(await sink.write(batchOf(second, 1), never)).toEqual(whole);
  // The run fails after this, and the next one retries the same window.
  await sink.write(batchOf(first, 0), never);
  expect(await sink.write(batchOf(second, 1), never)).toEqual(whole);
  expect(await sink.write(batchOf(first, 0, 43), never)).toMatchObject({ delivered: { lines: 20 } });
});

test("a window that is retried after a failure of its sink counts its lines once", async () => {
  const port = await closedPort();
  const sink = sinkTo({ port });
  await expect(sink.write(batchOf(someEvents(10)), never)).rejects.toThrow("ECONNREFUSED");
  await octetReceiver({ port });
  expect(await sink.write(batchOf(someEvents(10)), never)).toMatchObject({ delivered: { lines: 10 } });
});

test("lines are counted and hashed as sent, shortened lines as shortened", async () => {
  const receiver = await octetReceiver();
  const events = someEvents(2, "x".repeat(9000));
  const receipt = await sinkTo(receiver).write(batchOf(events), never);
  await receiver.heard(2);
  const hash = createHash("sha256");
  for (const message of receiver.messages) hash.update(message.subarray(message.indexOf("] ") + 2)).update("\n");
  const contentSha256 = hash.digest("hex");
  expect(receipt).toEqual({ delivered: { lines: 2, truncated: 2, contentSha256, acknowledged: false } });
});

test("a window without events counts as acknowledged if the transport acknowledges messages", () => {
  const contentSha256 = createHash("sha256").digest("hex");
  const nothing = (transport: SyslogTransport) => sinkTo({ port: 1 }, { transport }).nothing;
  expect(nothing("tcp")).toEqual({ lines: 0, contentSha256, acknowledged: false });
  expect(nothing("udp")).toEqual({ lines: 0, contentSha256, acknowledged: false });
  expect(nothing("relp")).toEqual({ lines: 0, contentSha256, acknowledged: true });
  expect(nothing("relp+tls")).toEqual({ lines: 0, contentSha256, acknowledged: true });
});

test.each(OVER_TLS)("a batch is sent over %s, with certificates on both sides", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const options = { transport, tls: withClient(certificates.client) };
  const receipt = await sinkTo(receiver, options).write(batchOf(someEvents(500)), never);
  await receiver.heard(500);
  expect(receiver.messages).toHaveLength(500);
  expect(receipt).toMatchObject({ delivered: { lines: 500, acknowledged: transport === "relp+tls" } });
});

test("certificate files are read again at each connection", async () => {
  const receiver = await octetReceiver({ tls: mutual() });
  const current = { certFile: join(folder, "current.pem"), keyFile: join(folder, "current.key") };
  const put = ({ certFile, keyFile }: Certificate) => {
    copyFileSync(certFile, current.certFile);
    copyFileSync(keyFile, current.keyFile);
  };
  put(certificates.otherClient);
  const sink = sinkTo(receiver, {
    transport: "tls",
    tls: withClient(current),
    retry: { attempts: 1, baseMs: 1, capMs: 1 },
  });
  await expect(sink.write(batchOf(someEvents(10)), never)).rejects.toThrow();
  put(certificates.client);
  await sink.write(batchOf(someEvents(10)), never);
  await receiver.heard(10);
});

test.each(OVER_TLS)("over %s, a receiver that refuses us gets nothing, and the batch fails", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const facts: Facts = [];
  const writing = sinkTo(receiver, { transport, tls: trusting() }, facts).write(batchOf(someEvents(10)), never);
  // The connection may end before the alert is read. Then it looks like an outage, and the hint names the certificate.
  await expect(writing).rejects.toMatchObject({ hint: expect.stringContaining("sink.certFile") as string });
  expect(receiver.messages).toEqual([]);
});

test("the preflight connects, sends no message, and says whether messages will be acknowledged", async () => {
  const [plain, relp, udp] = [await octetReceiver(), await relpReceiver(), await udpReceiver()];
  const untried =
    "connected; no message was sent, so only the first batch will show whether the receiver accepts messages";
  expect(await findingsOf(plain.port, {})).toEqual([
    { state: "ok", what: `tcp://127.0.0.1:${plain.port}: ${untried}` },
    {
      state: "warning",
      what: `syslog over tcp cannot confirm that messages arrive: manifests will say "acknowledged":false`,
      hint: "if the receiver supports RELP, set sink.transport to relp or relp+tls: RELP acknowledges each message",
    },
  ]);
  expect(await findingsOf(relp.port, { transport: "relp" })).toEqual([
    {
      state: "ok",
      what: `relp://127.0.0.1:${relp.port}: connected, and the receiver accepted the RELP session; no message was sent`,
    },
  ]);
  expect(await findingsOf(udp.port, { transport: "udp" })).toMatchObject([
    { state: "ok", what: `udp://127.0.0.1:${udp.port}: the host has the address 127.0.0.1; nothing was sent` },
    { state: "warning" },
  ]);
  expect([plain.messages, relp.messages, udp.messages]).toEqual([[], [], []]);
});

test.each(OVER_TLS)("the preflight passes over %s with the right certificates", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const found = await findingsOf(receiver.port, { transport, tls: withClient(certificates.client) });
  expect(found[0]).toMatchObject({ state: "ok" });
});

test.each(PLAIN)("the preflight over %s reports an unknown host", async (transport) => {
  const { what, hint } = await failureOf(514, { transport, host: "no-such-host.invalid" });
  expect(what).toContain(`connect to ${transport}://no-such-host.invalid:514`);
  expect(what).toMatch(/ENOTFOUND|EAI_AGAIN/);
  expect(hint).toContain("sink.host");
});

test("the preflight reports a receiver that hangs, or that disconnects at once", async () => {
  const hung = await serverThat((socket) => socket.pause());
  const silent = await failureOf(hung.port, { connectTimeoutMs: 300 });
  expect(silent.what).toContain("the receiver did not close the connection within 300 ms");
  const leaving = await octetReceiver({ onConnection: (socket) => void socket.end() });
  expect((await failureOf(leaving.port, {})).what).toContain("the receiver closed the connection");
});

test("the preflight reports that nothing listens on the port", async () => {
  const { what, hint } = await failureOf(await closedPort(), {});
  expect(what).toContain("ECONNREFUSED");
  expect(hint).toContain("sink.port");
});

test("the preflight reports that the receiver's authority is not trusted", async () => {
  const { port } = await octetReceiver({ tls: ofServer(certificates.server) });
  const tls = { caFile: certificates.otherCaFile, checkServerName: true };
  const { what, hint, error } = await failureOf(port, { transport: "tls", tls });
  expect(what).toContain("its certificate is from an unknown authority");
  expect(hint).toContain("sink.caFile");
  expect(error).toMatchObject({ name: "RefusedError", code: "forbidden" });
});

test("the preflight reports that the receiver's certificate is self-signed", async () => {
  const itself = { certFile: certificates.otherCaFile, keyFile: certificates.otherCaFile.replace(".pem", ".key") };
  const { port } = await octetReceiver({ tls: ofServer(itself) });
  const { what, hint } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("its certificate is self-signed");
  expect(hint).toContain("sink.caFile");
});

test("the preflight reports that the receiver's certificate has expired", async () => {
  const { port } = await octetReceiver({ tls: ofServer(certificates.expired) });
  const { what } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("its certificate has expired");
});

test("the preflight reports the names of the receiver's certificate; serverName selects one, and the check can be off", async () => {
  const { port } = await octetReceiver({ tls: ofServer(certificates.server) });
  const named = (tls: object) => ({ transport: "tls" as const, tls: { ...trusting(), ...tls } });
  const { what, hint } = await failureOf(port, named({ serverName: "logs.example.com" }));
  expect(what).toContain("its certificate is not for logs.example.com, but for DNS:localhost, IP Address:127.0.0.1");
  expect(hint).toContain("sink.serverName");
  expect((await findingsOf(port, named({ serverName: "localhost" })))[0]).toMatchObject({ state: "ok" });
  const unchecked = named({ serverName: "logs.example.com", checkServerName: false });
  expect((await findingsOf(port, unchecked))[0]).toMatchObject({ state: "ok" });
});

test.each(OVER_TLS)(
  "the preflight over %s reports that the receiver requires a client certificate, and none is set",
  async (transport) => {
    const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
    const { what, hint, error } = await failureOf(receiver.port, { transport, tls: trusting() });
    expect(what).toContain("the receiver requires a client certificate, and none is set");
    expect(hint).toContain("sink.certFile");
    expect(error).toMatchObject({ name: "RefusedError", code: "unauthorized" });
  },
);

test.each(OVER_TLS)(
  "if a receiver over %s closes the connection because it does not trust our certificate, the batch fails",
  async (transport) => {
    const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
    const options = { transport, tls: withClient(certificates.otherClient) };
    const { what, hint } = await failureOf(receiver.port, options);
    expect(what).toContain(`after the TLS handshake with ${transport}://127.0.0.1`);
    expect(hint).toContain("sink.certFile");
    await expect(sinkTo(receiver, options).write(batchOf(someEvents(1)), never)).rejects.toThrow(
      "after the TLS handshake",
    );
    expect(receiver.messages).toEqual([]);
  },
);

test("if a receiver over TLS disconnects after it has accepted bytes, the hint does not blame our certificate", async () => {
  const receiver = await octetReceiver({ tls: mutual(), onMessage: (socket) => socket.destroy() });
  const options = {
    ...({ transport: "tls", tls: withClient(certificates.client) } as const),
    retry: { attempts: 1, baseMs: 1, capMs: 1 },
  };
  const writing = sinkTo(receiver, options).write(batchOf(someEvents(20_000)), never);
  await expect(writing).rejects.toMatchObject({
    message: expect.stringContaining("write to tls://") as string,
    hint: expect.not.stringContaining("certificate") as string,
  });
});

test("the preflight reports a receiver that supports only TLS 1.1", async () => {
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  const { port } = await octetReceiver({ tls: { ...ofServer(certificates.server), ...old } });
  const { what, error } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("the receiver supports only TLS versions older than 1.2");
  expect(error).toMatchObject({ name: "RefusedError" });
});

test("certificates are checked, whatever NODE_TLS_REJECT_UNAUTHORIZED says", async () => {
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  onTestFinished(() => void vi.unstubAllEnvs());
  const { port } = await octetReceiver({ tls: ofServer(certificates.server) });
  const tls = { caFile: certificates.otherCaFile, checkServerName: true };
  expect((await failureOf(port, { transport: "tls", tls })).what).toContain("unknown authority");
});

test("over TLS, too, a RELP port is recognized by its answer", async () => {
  const { port } = await relpReceiver({
    tls: ofServer(certificates.server),
    onConnection: (socket) =>
      void socket.removeAllListeners("data").once("data", () => socket.end("0 serverclose 0\n")),
  });
  const writing = sinkTo({ port }, { transport: "tls", tls: trusting() }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toMatchObject({
    name: "RefusedError",
    hint: expect.stringContaining("relp+tls") as string,
  });
});

test("with TLS 1.2, too, the hint names a missing client certificate", async () => {
  const { port } = await octetReceiver({ tls: { ...mutual(), maxVersion: "TLSv1.2" } });
  const { hint } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(hint).toMatch(/sink\.certFile|may not use TLS/);
});

test("the preflight says that the port may not use TLS", async () => {
  const silent = await octetReceiver({ onConnection: (socket) => socket.removeAllListeners("data").resume() });
  const { hint } = await failureOf(silent.port, { transport: "tls", tls: trusting(), connectTimeoutMs: 300 });
  expect(hint).toContain("the port may not use TLS");
  const relp = await relpReceiver({ onConnection: (socket) => void socket.end("0 serverclose 0\n") });
  expect((await failureOf(relp.port, { transport: "relp+tls", tls: trusting() })).hint).toContain(
    "the port may not use TLS",
  );
});

test("a batch that is sent without TLS to a TLS port fails", async () => {
  // OpenSSL answers data that is not TLS with an alert, and closes the connection.
  const alert = Buffer.from("15030100020246", "hex");
  const { port } = await serverThat((socket) => socket.once("data", () => socket.end(alert)));
  const writing = sinkTo({ port }).write(batchOf(someEvents(1)), never);
  await expect(writing).rejects.toMatchObject({ hint: expect.stringContaining("sink.transport") as string });
});

test("the preflight reports that the receiver refuses the RELP session", async () => {
  const { port } = await relpReceiver({
    answer: (command) => `${command.txnr} rsp 44 500 required command not supported by client\n`,
  });
  const { what } = await failureOf(port, { transport: "relp" });
  expect(what).toContain("open a RELP session");
  expect(what).toContain("500 required command not supported by client");
});

test("the preflight reports a RELP receiver without the command syslog, and a port that does not speak RELP", async () => {
  const other = await relpReceiver({
    answer: (command) =>
      command.command === "open" ? `${command.txnr} rsp 21 200 OK\ncommands=other\n` : usualAnswer(command),
  });
  expect((await failureOf(other.port, { transport: "relp" })).what).toContain(
    "the receiver does not support the command syslog",
  );
  const plain = await octetReceiver({ onConnection: (socket) => socket.removeAllListeners("data").resume() });
  const silent = await failureOf(plain.port, { transport: "relp", connectTimeoutMs: 300 });
  expect(silent.what).toContain("no answer within 300 ms");
  expect(silent.hint).toContain("RELP");
  const web = await octetReceiver({ onConnection: (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") });
  expect((await failureOf(web.port, { transport: "relp" })).what).toContain("not RELP");
});

test("the preflight names a certificate file that is missing or has no certificate", async () => {
  const tls = (more: object) => ({ transport: "tls" as const, tls: { ...trusting(), ...more } });
  const missing = await failureOf(1, tls({ caFile: join(folder, "none.pem") }));
  expect(missing.what).toContain(`${join(folder, "none.pem")}: no such file`);
  expect(missing.error).toMatchObject({ name: "ConfigError" });
  writeFileSync(join(folder, "text.pem"), "not a certificate");
  expect((await failureOf(1, tls({ caFile: join(folder, "text.pem") }))).what).toContain("it contains no certificate");
  const { certFile } = certificates.client;
  const mismatched = await failureOf(1, tls({ certFile, keyFile: certificates.server.keyFile }));
  expect(mismatched.what).toContain(`read ${certFile} and ${certificates.server.keyFile}`);
});
