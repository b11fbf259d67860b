import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import type { NotifyConfig } from "../src/config.ts";
import { RefusedError } from "../src/errors.ts";
import type { Fact } from "../src/fact.ts";
import { notifications } from "../src/notify/notify.ts";
import { simulator } from "../src/simulator/simulator.ts";
import { after, statusAt } from "../src/status.ts";
import { answerWith, serve } from "./support/serve.ts";
import { fold, LATER, ticked } from "./support/telling.ts";

const SECRET = "hooks/T0/canary-4f1c9a7e";
const refused: Fact = {
  ...{ kind: "tick.failed", stream: "acme", durationMs: 1 },
  error: new RefusedError("unauthorized", "GET /x: HTTP 401", { hint: "make a new token" }),
};

/** Notifications of one stream; what they come to can be awaited. */
function notifying(config: NotifyConfig) {
  let status = fold([[LATER, ticked(18)]]);
  const facts: Fact[] = [];
  const arrivals = new EventTarget();
  const observe = (fact: Fact): void => {
    facts.push(fact);
    arrivals.dispatchEvent(new Event("fact"));
  };
  const told = notifications(config, () => statusAt(status, LATER), observe, {});
  onTestFinished(() => told.end(AbortSignal.abort()));
  return {
    facts,
    end: (ms: number) => told.end(AbortSignal.timeout(ms)),
    tell: (fact: Fact): void => {
      status = after(status, fact, LATER);
      told.observe(fact);
    },
    saw: async (count: number, kind: Fact["kind"]): Promise<void> => {
      while (facts.filter((fact) => fact.kind === kind).length < count) await once(arrivals, "fact");
    },
  };
}

/** A receiver that answers the nth request with the nth of `codes`, and with the last one from then on. */
async function receiver(...codes: number[]) {
  const bodies: string[] = [];
  const { baseUrl, requests } = await serve((request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.push(Buffer.concat(chunks).toString());
      answerWith(response, codes[bodies.length - 1] ?? codes.at(-1) ?? 200, "", { "retry-after": "0" });
    });
  });
  return { url: `${baseUrl}/${SECRET}`, bodies, requests };
}

test("a webhook gets JSON that says what is the matter, and what to do", async () => {
  const { url, bodies, requests } = await receiver(200);
  const { tell, saw } = notifying({ webhook: { url: () => url } });
  tell(refused);
  tell(refused);
  tell(ticked(18));
  await saw(2, "notification.sent");
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toEqual([
    {
      ...{ kind: "unhealthy", stream: "acme", time: "2026-11-01T01:30:00Z", code: "unauthorized" },
      ...{ message: "acme is failing: GET /x: HTTP 401", hint: "make a new token" },
      ...{ text: "🔴 acme is failing: GET /x: HTTP 401\n→ make a new token" },
      ...{ exportedUntil: "2026-11-01T01:30:00Z", lagSeconds: 0 },
    },
    expect.objectContaining({ kind: "recovered", text: "🟢 acme is well again: exported until 2026-11-01T01:30:00Z" }),
  ]);
  expect(requests[0]?.headers["content-type"]).toBe("application/json; charset=utf-8");
});

test("a webhook that fails for a while is tried again", async () => {
  const { url, bodies } = await receiver(503, 200);
  const { tell, saw } = notifying({ webhook: { url: () => url } });
  tell(refused);
  await saw(1, "notification.sent");
  expect(bodies).toHaveLength(2);
});

test("a webhook that refuses is said, without its address, and is not tried again", async () => {
  const { url, bodies } = await receiver(404);
  const { tell, saw, facts } = notifying({ webhook: { url: () => url } });
  tell(refused);
  await saw(1, "notification.failed");
  expect(facts).toMatchObject([{ notifier: "webhook", what: "unhealthy acme", error: { code: "not_found" } }]);
  expect(bodies).toHaveLength(1);
  expect((facts[0] as { error: Error }).error.message).toBe("POST to notify.webhook: HTTP 404");
});

test("an address that nobody answers at, or that is none, is said without it", async () => {
  for (const url of ["http://127.0.0.1:1/canary", "no URL, but a canary"]) {
    const { tell, end, facts } = notifying({ webhook: { url: () => url } });
    tell(refused);
    await end(20_000);
    expect(facts).toMatchObject([{ kind: "notification.failed", error: { code: "network" } }]);
    expect(JSON.stringify(facts) + String((facts[0] as { error: Error }).error)).not.toContain("canary");
  }
}, 60_000);

test("Pachca gets a message from the bot", async () => {
  const api = await simulator({ token: "bot-token" });
  onTestFinished(() => api.close());
  const pachca = { baseUrl: api.url, token: () => "bot-token", entityType: "thread", entityId: 4711 } as const;
  const { tell, saw } = notifying({ pachca });
  tell(refused);
  await saw(1, "notification.sent");
  const content = "🔴 acme is failing: GET /x: HTTP 401\n→ make a new token";
  expect(api.messages).toEqual([{ message: { entity_type: "thread", entity_id: 4711, content } }]);
});

test.each([500, 502, 504])("a message in Pachca is not repeated after HTTP %i: it may be there", async (code) => {
  const { url, bodies } = await receiver(code, 201);
  const pachca = { baseUrl: url, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { tell, saw } = notifying({ pachca });
  tell(refused);
  await saw(1, "notification.failed");
  expect(bodies).toHaveLength(1);
});

test("a message in Pachca is not repeated after a connection that was cut", async () => {
  const { baseUrl, requests } = await serve((request) => request.socket.destroy());
  const pachca = { baseUrl, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { tell, saw } = notifying({ pachca });
  tell(refused);
  await saw(1, "notification.failed");
  expect(requests).toHaveLength(1);
});

test("a message in Pachca that was one too many is repeated: it is surely not there", async () => {
  const { url, bodies } = await receiver(429, 201);
  const pachca = { baseUrl: url, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { tell, saw } = notifying({ pachca });
  tell(refused);
  await saw(1, "notification.sent");
  expect(bodies).toHaveLength(2);
});

test("a receiver that never answers holds up nobody: neither the worker nor its end", async () => {
  const { baseUrl, requests } = await serve(() => undefined);
  const { tell, end, facts } = notifying({ webhook: { url: () => baseUrl } });
  tell(refused);
  while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const before = performance.now();
  await end(300);
  expect(performance.now() - before).toBeLessThan(5000);
  expect(facts).toEqual([]);
});

test("what waits for a receiver that never answers is bounded, and what is dropped is said", async () => {
  const { baseUrl } = await serve(() => undefined);
  const names = Array.from({ length: 150 }, (_, index) => `stream-${index}`);
  const { streams, ...rest } = statusAt(fold([[LATER, ticked(18)]]), LATER);
  const failing = streams[0]!;
  const document = {
    ...rest,
    streams: names.map((stream) => ({ ...failing, stream, state: "stopped" as const, failedTicks: 1 })),
  };
  const facts: Fact[] = [];
  const told = notifications(
    { webhook: { url: () => baseUrl } },
    () => document,
    (fact) => facts.push(fact),
    {},
  );
  onTestFinished(() => told.end(AbortSignal.abort()));
  told.observe(refused);
  expect(facts.length).toBe(49);
  expect(new Set(facts.map(({ kind }) => kind))).toEqual(new Set(["notification.dropped"]));
});

test("the heart beats while all is well, and only then", async () => {
  const { url, requests } = await receiver(200);
  const { tell, saw } = notifying({ heartbeat: { url: () => url, everyMs: 20 } });
  await saw(2, "notification.sent");
  expect(requests[0]).toMatchObject({ method: "GET", url: `/${SECRET}` });
  tell(refused);
  // One may be on its way; the next would come within twenty milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = requests.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(requests.length).toBe(before);
  tell(ticked(18));
  const more = requests.length;
  await saw(more + 2, "notification.sent");
});
