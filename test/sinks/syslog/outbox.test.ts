import fc from "fast-check";
import { expect, test } from "vitest";
import { outbox } from "../../../src/sinks/syslog/outbox.ts";
import { batchOf, someEvents } from "./batch.ts";

test("wherever connections break, what is not acknowledged is sent again in order, and each event becomes a message once", async () => {
  // How many messages each connection takes, and how many of those are acknowledged before it breaks.
  const connections = fc.array(fc.record({ taken: fc.nat(80), acknowledged: fc.nat(80) }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(connections, async (broken) => {
      const made: string[] = [];
      const messages = outbox(batchOf(someEvents(200)).chunks, ({ id }) => {
        made.push(id);
        return Buffer.from(id);
      });
      const acknowledged: string[] = [];
      async function take(count: number): Promise<Buffer[]> {
        const taken: Buffer[] = [];
        while (taken.length < count && (await messages.hasMore())) taken.push(messages.take()!);
        return taken;
      }
      for (const { taken, acknowledged: count } of broken) {
        const some = await take(taken);
        for (const message of some.slice(0, count)) {
          messages.acknowledge(message);
          acknowledged.push(message.toString());
        }
        messages.rewind();
      }
      const rest = await take(Infinity);
      const ids = someEvents(200).map(({ id }) => id);
      expect([...acknowledged, ...rest.map(String)]).toEqual(ids);
      expect(made).toEqual(ids);
      expect(messages.acknowledgedCount).toBe(acknowledged.length);
      expect(await messages.hasMore()).toBe(false);
    }),
  );
});
