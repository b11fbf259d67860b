import { expect, test } from "vitest";
import { newlineReceiver, octetReceiver, parseSyslog } from "../support/syslog.ts";
import { never } from "../support/world.ts";
import { batchOf, sinkTo, someEvents } from "./batch.ts";

test("a batch arrives whole and in order, with the count of each message before it", async () => {
  const receiver = await octetReceiver();
  const events = someEvents(1000);
  const receipt = await sinkTo(receiver).write(batchOf(events), never);
  await receiver.heard(1000);
  expect(receiver.messages.map((message) => parseSyslog(message).text)).toEqual(events.map(({ record }) => record));
  expect(receipt).toMatchObject({ delivered: { lines: 1000, acknowledged: false } });
});

test("a batch arrives whole and in order, with a newline after each message", async () => {
  const receiver = await newlineReceiver();
  const events = someEvents(1000);
  await sinkTo(receiver, { framing: "newline" }).write(batchOf(events), never);
  await receiver.heard(1000);
  expect(receiver.messages.map((message) => parseSyslog(message).text)).toEqual(events.map(({ record }) => record));
});
