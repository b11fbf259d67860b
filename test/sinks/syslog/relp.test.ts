import { once } from "node:events";
import type net from "node:net";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { openRelp } from "../../../src/sinks/syslog/relp.ts";
import { outbox } from "../../../src/sinks/syslog/outbox.ts";
import { parseSyslog, relpReceiver, usualAnswer, type RelpCommand, type SyslogReceiver } from "../../support/syslog.ts";
import { TransientError } from "../../../src/errors.ts";
import { never } from "../../support/world.ts";
import { batchOf, digestOf, sinkTo, someEvents, type Facts } from "./batch.ts";

const idsOf = ({ messages }: SyslogReceiver) => messages.map((message) => parseSyslog(message).params["id"]);
const idsFrom = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `${from + index}`);

test("a batch counts as written when each message is acknowledged, and the session is closed in order", async () => {
  const commands: RelpCommand[] = [];
  const receiver = await relpReceiver({
    answer(command) {
      commands.push(command);
      return usualAnswer(command);
    },
  });
  const events = someEvents(1000);
  const receipt = await sinkTo(receiver, { transport: "relp" }).write(batchOf(events), never);
  expect(receipt).toEqual({ delivered: { lines: 1000, contentSha256: digestOf(events), acknowledged: true } });
  expect(idsOf(receiver)).toEqual(idsFrom(0, 1000));
  expect(commands.map(({ txnr }) => txnr)).toEqual(Array.from({ length: 1002 }, (_, index) => index + 1));
  expect(commands[0]).toMatchObject({ command: "open" });
  expect(commands[0]?.data.toString()).toBe("relp_version=0\nrelp_software=siem-export-worker\ncommands=syslog\n");
  expect(commands.at(-1)).toMatchObject({ command: "close" });
  expect(receiver.connections()).toBe(1);
});

test("answers may arrive in pieces of one octet", async () => {
  const receiver = await relpReceiver({ pieceBytes: 1 });
  await sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(300)), never);
  expect(idsOf(receiver)).toEqual(idsFrom(0, 300));
});

test("at most 128 messages are unacknowledged, and these are sent without waiting", async () => {
  let unanswered: RelpCommand[] = [];
  let most = 0;
  const receiver = await relpReceiver({
    answer(command, socket) {
      if (command.command !== "syslog") return usualAnswer(command);
      unanswered.push(command);
      most = Math.max(most, unanswered.length);
      const isLast = command.txnr === 1001;
      if (unanswered.length < 128 && !isLast) return undefined;
      // If the limit were larger, more would arrive in the meantime.
      void setTimeout(10).then(() => {
        const answers = unanswered.map(usualAnswer).join("");
        unanswered = [];
        socket.write(answers);
      });
      return undefined;
    },
  });
  await sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(1000)), never);
  expect(most).toBe(128);
});

test("answers may arrive in a different order than the messages", async () => {
  let held: RelpCommand[] = [];
  const receiver = await relpReceiver({
    answer(command) {
      if (command.command !== "syslog") return usualAnswer(command);
      held.push(command);
      if (held.length < 10) return undefined;
      const answers = held.reverse().map(usualAnswer).join("");
      held = [];
      return answers;
    },
  });
  const receipt = await sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(200)), never);
  expect(receipt).toMatchObject({ delivered: { lines: 200, acknowledged: true } });
});

test("the numbers of frames start again at 1 within a session", async () => {
  const txnrs: number[] = [];
  const receiver = await relpReceiver({
    answer(command) {
      txnrs.push(command.txnr);
      return usualAnswer(command);
    },
  });
  const place = { place: "relp://test", host: "127.0.0.1", port: receiver.port, tls: undefined };
  const session = await openRelp({ ...place, connectTimeoutMs: 5000, answerTimeoutMs: 5000 }, never, 999_999_998);
  const { chunks } = batchOf(someEvents(3));
  await session.send(outbox(chunks, ({ record }) => record));
  await session.close();
  expect(txnrs).toEqual([999_999_998, 999_999_999, 1, 2, 3]);
});

/** Answers the first `count` messages as usual, and the rest with `then`. */
function answersOnly(count: number, then: (command: RelpCommand) => string | undefined) {
  let messages = 0;
  return (command: RelpCommand) =>
    command.command === "syslog" && ++messages > count ? then(command) : usualAnswer(command);
}

test("after a broken connection, only the messages that were not acknowledged are sent again", async () => {
  const facts: Facts = [];
  const receiver = await relpReceiver({
    // The 500th message is received, but its answer is lost.
    onMessage: (socket, count) => count === 500 && socket.destroy(),
  });
  const receipt = await sinkTo(receiver, { transport: "relp" }, facts).write(batchOf(someEvents(1000)), never);
  expect(receipt).toMatchObject({ delivered: { lines: 1000, acknowledged: true } });
  expect([...new Set(idsOf(receiver))]).toEqual(idsFrom(0, 1000));
  // At most 128 messages were unacknowledged.
  expect(receiver.messages.length).toBeGreaterThan(1000);
  expect(receiver.messages.length).toBeLessThanOrEqual(1000 + 128);
  expect(receiver.connections()).toBe(2);
  expect(facts).toMatchObject([{ kind: "retrying", stage: "write", attempt: 1, error: { code: "network" } }]);
});

test.each([
  ["closes the session", "0 serverclose 0\n", "the receiver closed the session"],
  ["does not accept a message", undefined, "the receiver did not accept a message: 500 disk full"],
])("if the receiver %s, the rest is sent again on another connection", async (_, hint, reason) => {
  const facts: Facts = [];
  let isOver = false;
  const receiver = await relpReceiver({
    answer(command) {
      if (isOver || command.command !== "syslog" || command.txnr !== 100) return usualAnswer(command);
      isOver = true;
      return hint ?? `${command.txnr} rsp 13 500 disk full\n`;
    },
  });
  await sinkTo(receiver, { transport: "relp" }, facts).write(batchOf(someEvents(300)), never);
  expect([...new Set(idsOf(receiver))]).toEqual(idsFrom(0, 300));
  expect(receiver.connections()).toBe(2);
  expect(facts).toHaveLength(1);
  expect(String((facts[0] as { error?: unknown }).error)).toContain(reason);
});

test("if a receiver does not answer in time, the worker reconnects and sends the unanswered messages again", async () => {
  let isSilent = true;
  const receiver = await relpReceiver({
    onConnection: (_, number) => (isSilent = number === 1),
    answer: (command) => (isSilent && command.command === "syslog" ? undefined : usualAnswer(command)),
  });
  const facts: Facts = [];
  const sink = sinkTo(receiver, { transport: "relp", answerTimeoutMs: 300 }, facts);
  await sink.write(batchOf(someEvents(10)), never);
  expect(idsOf(receiver)).toEqual([...idsFrom(0, 10), ...idsFrom(0, 10)]);
  expect(facts).toMatchObject([
    { kind: "retrying", error: { code: "timeout", hint: expect.stringContaining("busy") as string } },
  ]);
});

test("a receiver has 90 seconds for an answer to a message", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const held: [net.Socket, string][] = [];
  const receiver = await relpReceiver({
    answer(command, socket) {
      if (command.command !== "syslog") return usualAnswer(command);
      held.push([socket, usualAnswer(command)]);
      return undefined;
    },
  });
  const facts: Facts = [];
  const defaultLimits = { transport: "relp", connectTimeoutMs: undefined, answerTimeoutMs: undefined } as const;
  const writing = sinkTo(receiver, defaultLimits, facts).write(batchOf(someEvents(10)), never);
  await receiver.heard(10);
  await vi.advanceTimersByTimeAsync(89_000);
  for (const [socket, answer] of held) socket.write(answer);
  expect(await writing).toMatchObject({ delivered: { lines: 10, acknowledged: true } });
  expect(facts).toEqual([]);
  expect(receiver.messages).toHaveLength(10);
});

test("the time limit applies to each answer, however long the batch takes", async () => {
  const facts: Facts = [];
  let last = Promise.resolve();
  const receiver = await relpReceiver({
    answer(command, socket) {
      if (command.command !== "syslog") return usualAnswer(command);
      last = last.then(() => setTimeout(300)).then(() => void socket.write(usualAnswer(command)));
      return undefined;
    },
  });
  await sinkTo(receiver, { transport: "relp", answerTimeoutMs: 2000 }, facts).write(batchOf(someEvents(10)), never);
  expect(receiver.messages).toHaveLength(10);
  expect(facts).toEqual([]);
});

test("a slow receiver that does not read for a while keeps its connection as long as it answers", async () => {
  const facts: Facts = [];
  let slow = 0;
  const receiver = await relpReceiver({
    answer(command, socket) {
      if (command.command !== "syslog" || ++slow > 10) return usualAnswer(command);
      if (slow === 10) void answerSlowly(socket);
      return undefined;
    },
    // It stops reading: the messages are far more than the buffers in between hold.
    onMessage: (socket, count) => count === 10 && socket.pause(),
  });
  async function answerSlowly(socket: net.Socket) {
    for (let txnr = 2; txnr <= 11; txnr++) {
      await setTimeout(300);
      socket.write(usualAnswer({ txnr, command: "syslog", data: Buffer.alloc(0) }));
    }
    socket.resume();
  }
  const options = { transport: "relp", answerTimeoutMs: 2000, maxMessageBytes: 1_000_000 } as const;
  await sinkTo(receiver, options, facts).write(batchOf(someEvents(100, "x".repeat(500_000))), never);
  expect(receiver.messages).toHaveLength(100);
  expect(facts).toEqual([]);
});

test("a receiver that accepts nothing uses up the retries: the batch fails as an outage, and is not acknowledged", async () => {
  const receiver = await relpReceiver({
    answer: (command) =>
      command.command === "syslog" ? `${command.txnr} rsp 13 500 disk full\n` : usualAnswer(command),
  });
  const writing = sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toMatchObject({ name: "TransientError", code: "unavailable" });
  expect(receiver.connections()).toBe(3);
});

test("the count of retries starts again whenever something was acknowledged", async () => {
  // Each connection accepts 20 messages and then breaks: ten times more often than there are retries.
  let taken = 0;
  const receiver = await relpReceiver({
    onConnection: () => (taken = 0),
    answer(command, socket) {
      if (command.command === "syslog" && ++taken > 20) socket.destroy();
      return usualAnswer(command);
    },
    pieceBytes: 20,
  });
  const receipt = await sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(600)), never);
  expect(receipt).toMatchObject({ delivered: { lines: 600, acknowledged: true } });
  expect([...new Set(idsOf(receiver))].sort()).toEqual(idsFrom(0, 600).sort());
});

test("how a session ends cannot undo what was acknowledged", async () => {
  const receiver = await relpReceiver({
    answer(command, socket) {
      if (command.command === "close") socket.destroy();
      return usualAnswer(command);
    },
  });
  const receipt = await sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(10)), never);
  expect(receipt).toMatchObject({ delivered: { lines: 10 } });
  expect(receiver.connections()).toBe(1);
});

test.each([
  ["an answer without a code", (txnr: number) => `${txnr} rsp 2 OK\n`, "it has no code"],
  ["an empty answer", (txnr: number) => `${txnr} rsp 0\n`, "did not accept a message"],
])("%s to a message acknowledges nothing", async (_, answerTo, reason) => {
  const receiver = await relpReceiver({
    answer: (command) => (command.command === "syslog" ? answerTo(command.txnr) : usualAnswer(command)),
  });
  const writing = sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toThrow(reason);
});

test("an answer that matches nothing that was sent is a protocol error, and is not retried", async () => {
  const receiver = await relpReceiver({ answer: answersOnly(3, () => "77 rsp 6 200 OK\n") });
  const writing = sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(10)), never);
  await expect(writing).rejects.toThrow("rsp 77 matches nothing that was sent");
  expect(receiver.connections()).toBe(1);
});

test("if the source fails in the middle of a batch, its own error is thrown", async () => {
  const receiver = await relpReceiver();
  const { plan, part } = batchOf([]);
  // An error that would be retried if it came from the receiver. Here the iteration of the batch has ended.
  const failure = new TransientError("network", "page 3");
  async function* chunks() {
    yield someEvents(10);
    throw failure;
  }
  const writing = sinkTo(receiver, { transport: "relp" }).write({ plan, part, chunks: chunks() }, never);
  await expect(writing).rejects.toBe(failure);
  expect(receiver.connections()).toBe(1);
});

test("an abort ends the wait for an answer with the signal's reason, and leaves no connection", async () => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const receiver = await relpReceiver({
    answer: (command) => (command.command === "syslog" ? undefined : usualAnswer(command)),
    onConnection: (socket) => void once(socket, "close").then(() => closed()),
  });
  let closed = (): void => undefined;
  const isClosed = new Promise<void>((resolve) => (closed = resolve));
  const writing = sinkTo(receiver, { transport: "relp" }).write(batchOf(someEvents(10)), stop.signal);
  await receiver.heard(10);
  stop.abort(reason);
  await expect(writing).rejects.toBe(reason);
  await isClosed;
  expect(receiver.open()).toBe(0);
});
