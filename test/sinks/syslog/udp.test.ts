import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";
import { expect, onTestFinished, test } from "vitest";
import { closedPort, parseSyslog, udpReceiver } from "../../support/syslog.ts";
import { never } from "../../support/world.ts";
import { batchOf, digestOf, sinkTo, someEvents, type Facts } from "./batch.ts";

/** Resolves `both.example` as a name server that has an IPv6 and an IPv4 address. Nothing listens on the IPv6 address. */
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

test("each message is one datagram, and a receiver on the same machine gets all of them", async () => {
  const receiver = await udpReceiver();
  const events = someEvents(2000, "x".repeat(300));
  const receipt = await sinkTo(receiver, { transport: "udp" }).write(batchOf(events), never);
  await receiver.heard(2000);
  expect(receiver.messages.map((message) => parseSyslog(message).params["id"])).toEqual(events.map(({ id }) => id));
  expect(receipt).toEqual({ delivered: { lines: 2000, contentSha256: digestOf(events), acknowledged: false } });
});

test("datagrams of 8 KB are not sent faster than a receiver's buffer allows", async () => {
  const receiver = await udpReceiver();
  await sinkTo(receiver, { transport: "udp" }).write(batchOf(someEvents(200, "x".repeat(7900))), never);
  await receiver.heard(200);
});

test("a host that refuses datagrams is an outage, also if it refuses only the last one", async () => {
  const facts: Facts = [];
  const port = await closedPort();
  const writing = sinkTo({ port }, { transport: "udp" }, facts).write(batchOf(someEvents(1)), never);
  await expect(writing).rejects.toMatchObject({ name: "TransientError", code: "network" });
  expect(facts).toMatchObject([
    { kind: "retrying", stage: "write" },
    { kind: "retrying", stage: "write" },
  ]);
});

test("an IPv4 address is preferred, because nothing would show that a receiver does not listen on IPv6", async () => {
  resolveBoth();
  const receiver = await udpReceiver();
  await sinkTo(receiver, { transport: "udp", host: "both.example" }).write(batchOf(someEvents(3)), never);
  await receiver.heard(3);
});

test("an abort between two bursts ends the batch with the signal's reason", async () => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const receiver = await udpReceiver();
  const writing = sinkTo(receiver, { transport: "udp" }).write(batchOf(someEvents(5000)), stop.signal);
  await receiver.heard(100);
  stop.abort(reason);
  await expect(writing).rejects.toBe(reason);
  expect(receiver.messages.length).toBeLessThan(5000);
});
