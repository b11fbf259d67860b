import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import { expect, onTestFinished, test } from "vitest";
import { closedPort, parseSyslog, udpReceiver } from "../../support/syslog.ts";
import { never } from "../../support/world.ts";
import { batchOf, digestOf, sinkTo, someEvents, type Facts } from "./batch.ts";

/**
 * Resolves `both.example` as a name server does that has both addresses, in its own order. No one answers at the one of IPv6,
 * loopback.
 */
function resolveBoth(): void {
  const { lookup } = dns;
  const both = [
    { address: "::1", family: 6 },
    { address: "127.0.0.1", family: 4 },
  ];
  const replaced = async (host: string, options: { order?: string } = {}) =>
    host === "both.example" ? both[options.order === "ipv4first" ? 1 : 0] : await lookup(host, options as object);
  const use = (implementation: unknown) => {
    Object.assign(dns, { lookup: implementation });
    syncBuiltinESMExports();
  };
  use(replaced);
  onTestFinished(() => use(lookup));
}

test("each message is one datagram, and none is lost on the way to a receiver on the same machine", async () => {
  const receiver = await udpReceiver();
  const events = someEvents(2000, "x".repeat(300));
  const receipt = await sinkTo(receiver, { transport: "udp" }).write(batchOf(events), never);
  await receiver.heard(2000);
  expect(receiver.messages.map((message) => parseSyslog(message).params["id"])).toEqual(events.map(({ id }) => id));
  expect(receipt).toEqual({ delivered: { lines: 2000, contentSha256: digestOf(events), acknowledged: false } });
});

test("datagrams of 8 KB leave no faster than a receiver's buffer holds", async () => {
  const receiver = await udpReceiver();
  await sinkTo(receiver, { transport: "udp" }).write(batchOf(someEvents(200, "x".repeat(7900))), never);
  await receiver.heard(200);
});

test("a host that refuses datagrams is away, even when it refuses only the last one", async () => {
  const facts: Facts = [];
  const port = await closedPort();
  const writing = sinkTo({ port }, { transport: "udp" }, facts).write(batchOf(someEvents(1)), never);
  await expect(writing).rejects.toMatchObject({ name: "TransientError", code: "network" });
  expect(facts).toMatchObject([
    { kind: "retrying", stage: "write" },
    { kind: "retrying", stage: "write" },
  ]);
});

test("of a host's addresses one of IPv4 is taken: nobody would say that a receiver does not listen on the other", async () => {
  resolveBoth();
  const receiver = await udpReceiver();
  await sinkTo(receiver, { transport: "udp", host: "both.example" }).write(batchOf(someEvents(3)), never);
  await receiver.heard(3);
});

test("an abort between two bursts ends the batch with the signal's own reason", async () => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const receiver = await udpReceiver();
  const writing = sinkTo(receiver, { transport: "udp" }).write(batchOf(someEvents(5000)), stop.signal);
  await receiver.heard(100);
  stop.abort(reason);
  await expect(writing).rejects.toBe(reason);
  expect(receiver.messages.length).toBeLessThan(5000);
});
