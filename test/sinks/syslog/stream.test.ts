import type net from "node:net";
import { expect, test } from "vitest";
import {
  closedPort,
  newlineReceiver,
  octetReceiver,
  parseSyslog,
  serverThat,
  type SyslogReceiver,
} from "../../support/syslog.ts";
import type { AuditEvent } from "../../../src/source.ts";
import { TransientError } from "../../../src/errors.ts";
import { never } from "../../support/world.ts";
import { batchOf, digestOf, sinkTo, someEvents, type Facts } from "./batch.ts";

/** The lines of the messages from number `from` on, each with a newline. */
const linesOf = ({ messages }: SyslogReceiver, from = 0) =>
  messages
    .slice(from)
    .map((message) => `${parseSyslog(message).text.toString()}\n`)
    .join("");
const linesSent = (events: readonly AuditEvent[]) => events.map(({ record }) => `${record.toString()}\n`).join("");

const ONCE = { attempts: 1, baseMs: 1, capMs: 1 };

test("a batch arrives whole and in order, with octet counting", async () => {
  const receiver = await octetReceiver();
  const events = someEvents(1000);
  const receipt = await sinkTo(receiver).write(batchOf(events), never);
  await receiver.heard(1000);
  expect(linesOf(receiver)).toBe(linesSent(events));
  expect(receipt).toEqual({ delivered: { lines: 1000, contentSha256: digestOf(events), acknowledged: false } });
});

test("a batch arrives whole and in order, with a newline after each message", async () => {
  const receiver = await newlineReceiver();
  const events = someEvents(1000);
  await sinkTo(receiver, { framing: "newline" }).write(batchOf(events), never);
  await receiver.heard(1000);
  expect(linesOf(receiver)).toBe(linesSent(events));
});

test("each batch has its own connection, which both sides have closed before the batch counts as written", async () => {
  let ended = 0;
  const receiver = await octetReceiver({ onConnection: (socket) => socket.once("end", () => ended++) });
  const sink = sinkTo(receiver);
  for (const number of [1, 2, 3]) {
    await sink.write(batchOf(someEvents(10), number - 1), never);
    expect(ended).toBe(number);
    expect(receiver.connections()).toBe(number);
  }
  expect(receiver.messages).toHaveLength(30);
});

test("if the receiver disconnects in the middle of a batch, the batch is sent again from its start", async () => {
  const facts: Facts = [];
  const receiver = await octetReceiver({ onMessage: (socket, count) => count === 5000 && socket.destroy() });
  // More than the buffers of two sockets hold: the connection breaks while there is still something to write.
  const events = someEvents(20_000, "x".repeat(400));
  const receipt = await sinkTo(receiver, {}, facts).write(batchOf(events), never);
  await receiver.heard(25_000);
  expect(linesOf(receiver, 5000) === linesSent(events)).toBe(true);
  expect(receipt).toEqual({ delivered: { lines: 20_000, contentSha256: digestOf(events), acknowledged: false } });
  expect(facts).toMatchObject([{ kind: "retrying", stage: "write", attempt: 1, error: { code: "network" } }]);
});

test("if the receiver resets the connection after we closed our side, the batch is sent again", async () => {
  const receiver = await octetReceiver({
    onConnection(socket, number) {
      if (number > 1) return;
      // Nothing is read, so the close is a reset: the batch is lost in the receiver's buffers.
      socket.pause();
      setTimeout(() => socket.resetAndDestroy(), 50);
    },
  });
  const facts: Facts = [];
  await sinkTo(receiver, {}, facts).write(batchOf(someEvents(10)), never);
  expect(receiver.messages).toHaveLength(10);
  expect(facts).toMatchObject([{ kind: "retrying", error: { code: "network" } }]);
});

test("if the receiver closes the connection before we do, the batch fails, even if the receiver read everything", async () => {
  let onClosed = (): void => undefined;
  const closed = new Promise<void>((resolve) => (onClosed = resolve));
  const { port } = await serverThat((socket) => socket.resume().end(onClosed));
  const { plan, part } = batchOf([]);
  async function* chunks() {
    yield someEvents(10);
    await closed;
  }
  const writing = sinkTo({ port }, { retry: ONCE }).write({ plan, part, chunks: chunks() }, never);
  await expect(writing).rejects.toThrow("the receiver closed the connection");
});

test("if the receiver closes its side while bytes are pending, the batch fails at once", async () => {
  const { port } = await serverThat((socket) => socket.pause().end());
  const writing = sinkTo({ port }, { retry: ONCE }).write(batchOf(someEvents(20_000, "x".repeat(1000))), never);
  await expect(writing).rejects.toThrow("the receiver closed the connection");
});

test("if the receiver hangs, the batch fails, however much its system buffers", async () => {
  const { port } = await serverThat((socket) => socket.pause());
  const writing = sinkTo({ port }, { answerTimeoutMs: 200, retry: ONCE }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toMatchObject({
    ...{ name: "TransientError", code: "timeout" },
    message: `finish writing to tcp://127.0.0.1:${port}: the receiver did not close the connection within 200 ms`,
    hint: expect.stringContaining("busy") as string,
  });
});

test("a busy receiver may read late: the batch waits, and is not sent again", async () => {
  const facts: Facts = [];
  // The receiver waits longer than the limit for opening a connection.
  const receiver = await octetReceiver({
    onConnection(socket) {
      socket.pause();
      setTimeout(() => socket.resume(), 2500);
    },
  });
  await sinkTo(receiver, { connectTimeoutMs: 1000 }, facts).write(batchOf(someEvents(10)), never);
  expect(receiver.messages).toHaveLength(10);
  expect(facts).toEqual([]);
});

test("a batch fails if the receiver reads and disconnects at once, like a load balancer without a backend", async () => {
  const { port } = await serverThat((socket) => socket.once("data", () => socket.end()));
  for (let batch = 0; batch < 10; batch++) {
    const writing = sinkTo({ port }, { retry: ONCE }).write(batchOf(someEvents(10)), never);
    await expect(writing).rejects.toMatchObject({
      message: expect.stringContaining("the receiver closed the connection") as string,
      hint: expect.stringContaining("check sink.port and sink.transport") as string,
    });
  }
});

test("if the receiver resets the connection at the first bytes, the hint suggests the wrong port", async () => {
  const { port } = await serverThat((socket) => socket.once("data", () => socket.resetAndDestroy()));
  const writing = sinkTo({ port }, { retry: ONCE }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toMatchObject({
    ...{ name: "TransientError", code: "network" },
    message: expect.stringContaining("ECONNRESET") as string,
    hint: expect.stringContaining("check sink.port and sink.transport") as string,
  });
});

test("a RELP port is recognized by its answer, and the batch is not retried", async () => {
  let connections = 0;
  const { port } = await serverThat((socket, number) => {
    connections = number;
    socket.once("data", () => socket.end("0 serverclose 0\n"));
  });
  await expect(sinkTo({ port }).write(batchOf(someEvents(10)), never)).rejects.toMatchObject({
    ...{ name: "RefusedError", code: "bad_request" },
    hint: expect.stringContaining("set sink.transport to relp") as string,
  });
  expect(connections).toBe(1);
});

test("an unreachable receiver uses up the retries: the batch fails as an outage", async () => {
  const facts: Facts = [];
  const writing = sinkTo({ port: await closedPort() }, {}, facts).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toMatchObject({ name: "TransientError", code: "network" });
  expect(facts).toMatchObject([{ attempt: 1 }, { attempt: 2 }]);
});

test("a receiver that starts between two attempts gets the batch", async () => {
  const port = await closedPort();
  let started: Promise<SyslogReceiver> | undefined;
  const facts: Facts = Object.assign([], { push: () => ((started ??= octetReceiver({ port })), 0) });
  await sinkTo({ port }, { retry: { attempts: 10, baseMs: 50, capMs: 500 } }, facts).write(
    batchOf(someEvents(10)),
    never,
  );
  const receiver = await started!;
  await receiver.heard(10);
  expect(receiver.messages).toHaveLength(10);
});

test("while a receiver reads nothing, only as much of the batch is read as the sockets' buffers hold", async () => {
  let pulled = 0;
  let waiting: net.Socket | undefined;
  let bytes = 0;
  const { port } = await serverThat((socket) => {
    waiting = socket.pause();
    socket.on("data", (piece: Buffer) => (bytes += piece.length)).on("end", () => socket.end());
    socket.pause();
  });
  const events = someEvents(1000, "x".repeat(7000));
  const { plan, part } = batchOf([]);
  async function* chunks() {
    // 140 MB in total: far more than any buffer holds.
    for (let at = 0; at < 20_000; at += 10) {
      pulled += 10;
      yield events.slice(0, 10);
    }
  }
  const writing = sinkTo({ port }).write({ plan, part, chunks: chunks() }, never);
  // When nothing more is read from the batch for a while, only the receiver holds the writer back.
  for (let before = -1; before !== pulled || pulled === 0;) {
    before = pulled;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const stalledAt = pulled;
  expect(stalledAt).toBeLessThan(20_000 / 2);
  waiting?.resume();
  expect(await writing).toMatchObject({ delivered: { lines: 20_000 } });
  expect(bytes).toBeGreaterThan(20_000 * 7000);
});

test("if the receiver accepts no bytes for too long, the batch fails", async () => {
  const { port } = await serverThat((socket) => socket.pause());
  const options = { answerTimeoutMs: 300, retry: ONCE };
  const events = someEvents(20_000, "x".repeat(1000));
  const writing = sinkTo({ port }, options).write(batchOf(events), never);
  await expect(writing).rejects.toMatchObject({
    message: expect.stringContaining("the receiver accepted no bytes within 300 ms") as string,
    hint: expect.stringContaining("busy") as string,
  });
});

test.each(["tcp", "relp"] as const)("an abort while %s waits for the receiver ends the wait", async (transport) => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const receiver = await serverThat((socket) => {
    socket.pause();
    stop.abort(reason);
  });
  const writing = sinkTo(receiver, { transport }).write(batchOf(someEvents(20_000, "x".repeat(1000))), stop.signal);
  await expect(writing).rejects.toBe(reason);
});

test("an abort between two attempts ends the wait", async () => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const facts: Facts = Object.assign([], { push: () => (setImmediate(() => stop.abort(reason)), 0) });
  const retry = { attempts: 5, baseMs: 60_000, capMs: 60_000 };
  const writing = sinkTo({ port: await closedPort() }, { retry }, facts).write(batchOf(someEvents(10)), stop.signal);
  await expect(writing).rejects.toBe(reason);
});

test("if the source fails in the middle of a batch, its own error is thrown", async () => {
  const receiver = await octetReceiver();
  const { plan, part } = batchOf([]);
  // An error that would be retried if it came from the receiver. Here the iteration of the batch has ended.
  const failure = new TransientError("network", "page 3");
  async function* chunks() {
    yield someEvents(10);
    throw failure;
  }
  await expect(sinkTo(receiver).write({ plan, part, chunks: chunks() }, never)).rejects.toBe(failure);
  expect(receiver.connections()).toBe(1);
});
