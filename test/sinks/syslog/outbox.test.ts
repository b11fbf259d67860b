import fc from "fast-check";
import { expect, test } from "vitest";
import { outbox } from "../../../src/sinks/syslog/outbox.ts";
import { batchOf, someEvents } from "./batch.ts";

test("wherever connections break, what is not safe comes again in order, and each event is made a message once", async () => {
  // How many messages each connection takes, and how many of those become safe before it breaks.
  const connections = fc.array(fc.record({ taken: fc.nat(80), safe: fc.nat(80) }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(connections, async (broken) => {
      const made: string[] = [];
      const messages = outbox(batchOf(someEvents(200)).chunks, ({ id }) => {
        made.push(id);
        return Buffer.from(id);
      });
      const safe: string[] = [];
      async function take(count: number): Promise<Buffer[]> {
        const taken: Buffer[] = [];
        while (taken.length < count && (await messages.more())) taken.push(messages.take()!);
        return taken;
      }
      for (const { taken, safe: count } of broken) {
        const some = await take(taken);
        for (const message of some.slice(0, count)) {
          messages.safe(message);
          safe.push(message.toString());
        }
        messages.rewind();
      }
      const rest = await take(Infinity);
      const ids = someEvents(200).map(({ id }) => id);
      expect([...safe, ...rest.map(String)]).toEqual(ids);
      expect(made).toEqual(ids);
      expect(messages.safeCount).toBe(safe.length);
      expect(await messages.more()).toBe(false);
    }),
  );
});
