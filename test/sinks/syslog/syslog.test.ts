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

/** Asks every client for a certificate of the authority. */
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

/** The one thing that is wrong, and its hint. */
async function failureOf(port: number, options: Partial<SyslogOptions>): Promise<Finding> {
  const found = await findingsOf(port, options);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({ state: "failed" });
  expect(found[0]?.hint).toBeTruthy();
  return found[0]!;
}

test("what was handed over runs over the parts of a window, and begins anew when the window does", async () => {
  const sink = sinkTo(await octetReceiver());
  const events = someEvents(30);
  const [first, second] = [events.slice(0, 20), events.slice(20)];
  expect(await sink.write(batchOf(first, 0), never)).toEqual({
    delivered: { lines: 20, contentSha256: digestOf(first), acknowledged: false },
  });
  const whole = { delivered: { lines: 30, contentSha256: digestOf(events), acknowledged: false } };
  expect(await sink.write(batchOf(second, 1), never)).toEqual(whole);
  // The tick failed after this, and the next one tries the same window again.
  await sink.write(batchOf(first, 0), never);
  expect(await sink.write(batchOf(second, 1), never)).toEqual(whole);
  expect(await sink.write(batchOf(first, 0, 43), never)).toMatchObject({ delivered: { lines: 20 } });
});

test("a window that is tried again after its sink failed counts its lines once", async () => {
  const port = await closedPort();
  const sink = sinkTo({ port });
  await expect(sink.write(batchOf(someEvents(10)), never)).rejects.toThrow("ECONNREFUSED");
  await octetReceiver({ port });
  expect(await sink.write(batchOf(someEvents(10)), never)).toMatchObject({ delivered: { lines: 10 } });
});

test("lines count as they were sent: a shortened one as shortened", async () => {
  const receiver = await octetReceiver();
  const events = someEvents(2, "x".repeat(9000));
  const receipt = await sinkTo(receiver).write(batchOf(events), never);
  await receiver.heard(2);
  const hash = createHash("sha256");
  for (const message of receiver.messages) hash.update(message.subarray(message.indexOf("] ") + 2)).update("\n");
  const contentSha256 = hash.digest("hex");
  expect(receipt).toEqual({ delivered: { lines: 2, truncated: 2, contentSha256, acknowledged: false } });
});

test("a window without events is acknowledged where the transport acknowledges", () => {
  const contentSha256 = createHash("sha256").digest("hex");
  const nothing = (transport: SyslogTransport) => sinkTo({ port: 1 }, { transport }).nothing;
  expect(nothing("tcp")).toEqual({ lines: 0, contentSha256, acknowledged: false });
  expect(nothing("udp")).toEqual({ lines: 0, contentSha256, acknowledged: false });
  expect(nothing("relp")).toEqual({ lines: 0, contentSha256, acknowledged: true });
  expect(nothing("relp+tls")).toEqual({ lines: 0, contentSha256, acknowledged: true });
});

test.each(OVER_TLS)("a batch goes over %s, each side showing its certificate", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const options = { transport, tls: withClient(certificates.client) };
  const receipt = await sinkTo(receiver, options).write(batchOf(someEvents(500)), never);
  await receiver.heard(500);
  expect(receiver.messages).toHaveLength(500);
  expect(receipt).toMatchObject({ delivered: { lines: 500, acknowledged: transport === "relp+tls" } });
});

test("certificate files are read again at each connection", async () => {
  const receiver = await octetReceiver({ tls: mutual() });
  const mine = { certFile: join(folder, "mine.pem"), keyFile: join(folder, "mine.key") };
  const put = ({ certFile, keyFile }: Certificate) => {
    copyFileSync(certFile, mine.certFile);
    copyFileSync(keyFile, mine.keyFile);
  };
  put(certificates.otherClient);
  const sink = sinkTo(receiver, {
    transport: "tls",
    tls: withClient(mine),
    retry: { attempts: 1, baseMs: 1, capMs: 1 },
  });
  await expect(sink.write(batchOf(someEvents(10)), never)).rejects.toThrow();
  put(certificates.client);
  await sink.write(batchOf(someEvents(10)), never);
  await receiver.heard(10);
});

test.each(OVER_TLS)("over %s, a receiver that refuses us takes nothing, and the batch fails", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const facts: Facts = [];
  const writing = sinkTo(receiver, { transport, tls: trusting() }, facts).write(batchOf(someEvents(10)), never);
  // An alert may be overtaken by the end of the connection: then it looks like an outage, and the hint names the certificate.
  await expect(writing).rejects.toMatchObject({ hint: expect.stringContaining("sink.certFile") as string });
  expect(receiver.messages).toEqual([]);
});

test("the preflight connects, sends no message, and says whether arrival will be known", async () => {
  const [plain, relp, udp] = [await octetReceiver(), await relpReceiver(), await udpReceiver()];
  const untried = "connected; no message was sent, so the first batch will show whether it takes them";
  expect(await findingsOf(plain.port, {})).toEqual([
    { state: "ok", what: `tcp://127.0.0.1:${plain.port}: ${untried}` },
    {
      state: "warning",
      what: expect.stringContaining("cannot say") as string,
      hint: expect.stringContaining("relp") as string,
    },
  ]);
  expect(await findingsOf(relp.port, { transport: "relp" })).toEqual([
    {
      state: "ok",
      what: `relp://127.0.0.1:${relp.port}: connected, and the RELP session is accepted; no message was sent`,
    },
  ]);
  expect(await findingsOf(udp.port, { transport: "udp" })).toMatchObject([
    { state: "ok", what: `udp://127.0.0.1:${udp.port}: the host's address is 127.0.0.1; nothing was sent` },
    { state: "warning" },
  ]);
  expect([plain.messages, relp.messages, udp.messages]).toEqual([[], [], []]);
});

test.each(OVER_TLS)("the preflight is well over %s with the right certificates", async (transport) => {
  const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
  const found = await findingsOf(receiver.port, { transport, tls: withClient(certificates.client) });
  expect(found[0]).toMatchObject({ state: "ok" });
});

test.each(PLAIN)("the preflight over %s says that the host is not known", async (transport) => {
  const { what, hint } = await failureOf(514, { transport, host: "no-such-host.invalid" });
  expect(what).toContain(`connect to ${transport}://no-such-host.invalid:514`);
  expect(what).toMatch(/ENOTFOUND|EAI_AGAIN/);
  expect(hint).toContain("sink.host");
});

test("the preflight says that the receiver hangs, or leaves as soon as it is met", async () => {
  const hung = await serverThat((socket) => socket.pause());
  const silent = await failureOf(hung.port, { connectTimeoutMs: 300 });
  expect(silent.what).toContain("the receiver did not end the connection within 300 ms");
  const leaving = await octetReceiver({ onConnection: (socket) => void socket.end() });
  expect((await failureOf(leaving.port, {})).what).toContain("the receiver closed the connection");
});

test("the preflight says that nothing listens there", async () => {
  const { what, hint } = await failureOf(await closedPort(), {});
  expect(what).toContain("ECONNREFUSED");
  expect(hint).toContain("sink.port");
});

test("the preflight says that the receiver's authority is not trusted", async () => {
  const { port } = await octetReceiver({ tls: ofServer(certificates.server) });
  const tls = { caFile: certificates.otherCaFile, checkServerName: true };
  const { what, hint, error } = await failureOf(port, { transport: "tls", tls });
  expect(what).toContain("its certificate is of an unknown authority");
  expect(hint).toContain("sink.caFile");
  expect(error).toMatchObject({ name: "RefusedError", code: "forbidden" });
});

test("the preflight says that the receiver's certificate is self-signed", async () => {
  const itself = { certFile: certificates.otherCaFile, keyFile: certificates.otherCaFile.replace(".pem", ".key") };
  const { port } = await octetReceiver({ tls: ofServer(itself) });
  const { what, hint } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("its certificate is self-signed");
  expect(hint).toContain("sink.caFile");
});

test("the preflight says that the receiver's certificate has expired", async () => {
  const { port } = await octetReceiver({ tls: ofServer(certificates.expired) });
  const { what } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("its certificate has expired");
});

test("the preflight says which names the receiver's certificate has, and a name can be chosen, or not be checked", async () => {
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
  "the preflight over %s says that the receiver wants a certificate of ours, and we have none",
  async (transport) => {
    const receiver = await (transport === "tls" ? octetReceiver : relpReceiver)({ tls: mutual() });
    const { what, hint, error } = await failureOf(receiver.port, { transport, tls: trusting() });
    expect(what).toContain("the receiver wants a certificate of ours, and we have none");
    expect(hint).toContain("sink.certFile");
    expect(error).toMatchObject({ name: "RefusedError", code: "unauthorized" });
  },
);

test.each(OVER_TLS)(
  "a receiver that ends the connection over %s without a word, for it does not trust our certificate, has taken nothing",
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

test("once a receiver over TLS has taken bytes, its leaving is not laid to our certificate", async () => {
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

test("a receiver that speaks only TLS 1.1 is told as that", async () => {
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  const { port } = await octetReceiver({ tls: { ...ofServer(certificates.server), ...old } });
  const { what, error } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(what).toContain("the receiver speaks only TLS older than 1.2");
  expect(error).toMatchObject({ name: "RefusedError" });
});

test("certificates are checked, whatever NODE_TLS_REJECT_UNAUTHORIZED says", async () => {
  vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
  onTestFinished(() => void vi.unstubAllEnvs());
  const { port } = await octetReceiver({ tls: ofServer(certificates.server) });
  const tls = { caFile: certificates.otherCaFile, checkServerName: true };
  expect((await failureOf(port, { transport: "tls", tls })).what).toContain("unknown authority");
});

test("over TLS too a port for RELP is refused by what it answers", async () => {
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

test("with TLS 1.2 a missing client certificate is said too", async () => {
  const { port } = await octetReceiver({ tls: { ...mutual(), maxVersion: "TLSv1.2" } });
  const { hint } = await failureOf(port, { transport: "tls", tls: trusting() });
  expect(hint).toMatch(/sink\.certFile|without TLS/);
});

test("the preflight says that a port may be one without TLS", async () => {
  const silent = await octetReceiver({ onConnection: (socket) => socket.removeAllListeners("data").resume() });
  const { hint } = await failureOf(silent.port, { transport: "tls", tls: trusting(), connectTimeoutMs: 300 });
  expect(hint).toContain("without TLS");
  const relp = await relpReceiver({ onConnection: (socket) => void socket.end("0 serverclose 0\n") });
  expect((await failureOf(relp.port, { transport: "relp+tls", tls: trusting() })).hint).toContain("without TLS");
});

test("a batch to a port for TLS without TLS is not taken for delivered", async () => {
  // As OpenSSL answers to what is no TLS: an alert, and the end.
  const alert = Buffer.from("15030100020246", "hex");
  const { port } = await serverThat((socket) => socket.once("data", () => socket.end(alert)));
  const writing = sinkTo({ port }).write(batchOf(someEvents(1)), never);
  await expect(writing).rejects.toMatchObject({ hint: expect.stringContaining("sink.transport") as string });
});

test("the preflight says that the receiver does not accept the RELP session", async () => {
  const { port } = await relpReceiver({
    answer: (command) => `${command.txnr} rsp 44 500 required command not supported by client\n`,
  });
  const { what } = await failureOf(port, { transport: "relp" });
  expect(what).toContain("open a RELP session");
  expect(what).toContain("500 required command not supported by client");
});

test("the preflight says that a receiver's RELP cannot do syslog, or that a port does not speak RELP", async () => {
  const other = await relpReceiver({
    answer: (command) =>
      command.command === "open" ? `${command.txnr} rsp 21 200 OK\ncommands=other\n` : usualAnswer(command),
  });
  expect((await failureOf(other.port, { transport: "relp" })).what).toContain("does not take the command syslog");
  const plain = await octetReceiver({ onConnection: (socket) => socket.removeAllListeners("data").resume() });
  const silent = await failureOf(plain.port, { transport: "relp", connectTimeoutMs: 300 });
  expect(silent.what).toContain("no answer within 300 ms");
  expect(silent.hint).toContain("RELP");
  const web = await octetReceiver({ onConnection: (socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n") });
  expect((await failureOf(web.port, { transport: "relp" })).what).toContain("not RELP");
});

test("the preflight names a certificate file that is missing, or that is none", async () => {
  const tls = (more: object) => ({ transport: "tls" as const, tls: { ...trusting(), ...more } });
  const missing = await failureOf(1, tls({ caFile: join(folder, "none.pem") }));
  expect(missing.what).toContain(`${join(folder, "none.pem")}: no such file`);
  expect(missing.error).toMatchObject({ name: "ConfigError" });
  writeFileSync(join(folder, "text.pem"), "not a certificate");
  expect((await failureOf(1, tls({ caFile: join(folder, "text.pem") }))).what).toContain("it contains no certificate");
  const { certFile } = certificates.client;
  const strangers = await failureOf(1, tls({ certFile, keyFile: certificates.server.keyFile }));
  expect(strangers.what).toContain(`read ${certFile} and ${certificates.server.keyFile}`);
});
