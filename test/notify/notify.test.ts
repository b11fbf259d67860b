import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { expect, onTestFinished, test } from "vitest";
import type { NotifyConfig } from "../../src/config/config.ts";
import { RefusedError, TransientError } from "../../src/errors.ts";
import type { Fact } from "../../src/fact.ts";
import { notifications } from "../../src/notify/notify.ts";
import { simulator } from "../../src/simulator/simulator.ts";
import { applyFact } from "../../src/status/status.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import { answerWith, serve } from "../support/serve.ts";
import { freePort } from "../support/process.ts";
import { committed, fold, LATER, ticked } from "../support/status.ts";
import { statusAt } from "../../src/status/status-at.ts";

const SECRET = "hooks/T0/canary-4f1c9a7e";
const refused: Fact = {
  ...{ kind: "tick.failed", stream: "acme", durationMs: 1 },
  error: new RefusedError("unauthorized", "GET /x: HTTP 401", { hint: "make a new token" }),
};

/** Notifications of one stream. Tests can wait for their facts. */
function notifying(config: NotifyConfig) {
  let status = fold([[LATER, ticked(18)]]);
  let now = LATER;
  const facts: Fact[] = [];
  const arrivals = new EventTarget();
  const observe = (fact: Fact): void => {
    facts.push(fact);
    arrivals.dispatchEvent(new Event("fact"));
  };
  const notifier = notifications(config, () => statusAt(status, now), observe, {});
  onTestFinished(() => notifier.end(AbortSignal.abort()));
  return {
    facts,
    end: (ms: number) => notifier.end(AbortSignal.timeout(ms)),
    add: (fact: Fact, laterMs = 0): void => {
      now = epochMs(now + laterMs);
      status = applyFact(status, fact, now);
      notifier.observe(fact);
    },
    saw: async (count: number, kind: Fact["kind"]): Promise<void> => {
      while (facts.filter((fact) => fact.kind === kind).length < count) await once(arrivals, "fact");
    },
  };
}

/** A receiver that answers the nth request with the nth of `codes`, and all further ones with the last. */
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

test("a webhook gets JSON with what is wrong and what to do", async () => {
  const { url, bodies, requests } = await receiver(200);
  const { add, saw } = notifying({ webhook: { url: () => url } });
  add(refused);
  add(refused);
  add(ticked(18));
  await saw(2, "notification.sent");
  expect(bodies.map((body) => JSON.parse(body) as unknown)).toEqual([
    {
      ...{ kind: "unhealthy", stream: "acme", time: "2026-11-01T01:30:00Z", code: "unauthorized" },
      ...{ message: "acme is failing: GET /x: HTTP 401", hint: "make a new token" },
      ...{ text: "🔴 acme is failing: GET /x: HTTP 401\n→ make a new token" },
      ...{ exportedUntil: "2026-11-01T01:30:00Z", lagSeconds: 0 },
    },
    expect.objectContaining({
      kind: "recovered",
      text: "🟢 acme is healthy again: exported until 2026-11-01T01:30:00Z",
    }),
  ]);
  expect(requests[0]?.headers["content-type"]).toBe("application/json; charset=utf-8");
});

test("after a temporary failure a webhook is tried again", async () => {
  const { url, bodies } = await receiver(503, 200);
  const { add, saw } = notifying({ webhook: { url: () => url } });
  add(refused);
  await saw(1, "notification.sent");
  expect(bodies).toHaveLength(2);
});

test("a webhook that refuses is reported without its address, and is not tried again", async () => {
  const { url, bodies } = await receiver(404);
  const { add, saw, facts } = notifying({ webhook: { url: () => url } });
  add(refused);
  await saw(1, "notification.failed");
  expect(facts).toMatchObject([{ notifier: "webhook", what: "unhealthy acme", error: { code: "not_found" } }]);
  expect(bodies).toHaveLength(1);
  expect((facts[0] as { error: Error }).error.message).toBe("POST to notify.webhook: HTTP 404");
});

test("an unreachable or invalid address is reported without the address", async () => {
  for (const url of ["http://127.0.0.1:1/canary", "no URL, but a canary"]) {
    const { add, end, facts } = notifying({ webhook: { url: () => url } });
    add(refused);
    await end(20_000);
    expect(facts).toMatchObject([{ kind: "notification.failed", error: { code: "network" } }]);
    expect(JSON.stringify(facts) + String((facts[0] as { error: Error }).error)).not.toContain("canary");
  }
}, 60_000);

test("after a failure, the status is reported a minute later; what was sent is not reported again", async () => {
  const { url, bodies } = await receiver(404, 200);
  const { add, saw } = notifying({ webhook: { url: () => url } });
  add(refused);
  await saw(1, "notification.failed");
  add(refused);
  add(refused, MINUTE_MS);
  await saw(1, "notification.sent");
  add(refused, MINUTE_MS);
  add(ticked(18));
  await saw(2, "notification.sent");
  const kinds = bodies.map((body) => (JSON.parse(body) as { kind: string }).kind);
  expect(kinds).toEqual(["unhealthy", "unhealthy", "recovered"]);
});

test("a notice that could not be sent is not sent after the recovery", async () => {
  const { url, bodies } = await receiver(404, 200);
  const { add, saw } = notifying({ webhook: { url: () => url } });
  add(refused);
  await saw(1, "notification.failed");
  add(ticked(18), 2 * MINUTE_MS);
  add(committed(19, { quarantined: 1 }));
  add(ticked(19));
  await saw(1, "notification.sent");
  expect(bodies.map((body) => (JSON.parse(body) as { kind: string }).kind)).toEqual(["unhealthy", "quarantine"]);
});

test("a message counts as sent when the receiver accepts it and never ends its answer", async () => {
  const { baseUrl } = await serve((_, response) => {
    response.writeHead(200, { "content-length": "100" }).write("x");
  });
  const { add, saw, facts } = notifying({ webhook: { url: () => baseUrl } });
  add(refused);
  await saw(1, "notification.sent");
  expect(facts).toHaveLength(1);
}, 5000);

test("a redirect of a webhook is refused, with a hint that names the key of the webhook", async () => {
  const { url } = await receiver(302);
  const { add, saw, facts } = notifying({ webhook: { url: () => url } });
  add(refused);
  await saw(1, "notification.failed");
  const hint = "redirects are not followed, because the token must go nowhere else: set url to the final address";
  expect(facts).toMatchObject([{ error: { code: "bad_request", hint } }]);
});

test("a message in Pachca is repeated when the connection failed", async () => {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  const { add, saw } = notifying({ pachca: { baseUrl, token: () => "t", entityType: "user", entityId: 1 } });
  add(refused);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const server = createServer((_, response) => response.writeHead(201).end()).listen(port, "127.0.0.1");
  onTestFinished(() => void server.close());
  await saw(1, "notification.sent");
});

test("Pachca gets a message", async () => {
  const api = await simulator({ token: "bot-token" });
  onTestFinished(() => api.close());
  const pachca = { baseUrl: api.url, token: () => "bot-token", entityType: "thread", entityId: 4711 } as const;
  const { add, saw } = notifying({ pachca });
  add(refused);
  await saw(1, "notification.sent");
  const content = "🔴 acme is failing: GET /x: HTTP 401\n→ make a new token";
  expect(api.messages).toEqual([{ message: { entity_type: "thread", entity_id: 4711, content } }]);
});

test.each([500, 502, 504])("a message in Pachca is not repeated after HTTP %i: it may have arrived", async (code) => {
  const { url, bodies } = await receiver(code, 201);
  const pachca = { baseUrl: url, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { add, saw } = notifying({ pachca });
  add(refused);
  await saw(1, "notification.failed");
  expect(bodies).toHaveLength(1);
  // Nor later, after the pause for other failures: only new notices are sent.
  add(refused, 2 * MINUTE_MS);
  add(ticked(19), 2 * MINUTE_MS);
  await saw(1, "notification.sent");
  expect(bodies).toHaveLength(2);
  expect(bodies[1]).not.toContain("is failing");
});

test("a message in Pachca is not repeated after a cut connection", async () => {
  const { baseUrl, requests } = await serve((request) => request.socket.destroy());
  const pachca = { baseUrl, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { add, saw } = notifying({ pachca });
  add(refused);
  await saw(1, "notification.failed");
  expect(requests).toHaveLength(1);
});

test("a message in Pachca is repeated after HTTP 429: it certainly did not arrive", async () => {
  const { url, bodies } = await receiver(429, 201);
  const pachca = { baseUrl: url, token: () => "t", entityType: "user", entityId: 1 } as const;
  const { add, saw } = notifying({ pachca });
  add(refused);
  await saw(1, "notification.sent");
  expect(bodies).toHaveLength(2);
});

test("a receiver that never answers blocks neither the worker nor its shutdown", async () => {
  const { baseUrl, requests } = await serve(() => undefined);
  const { add, end, facts } = notifying({ webhook: { url: () => baseUrl } });
  add(refused);
  while (requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
  const before = performance.now();
  await end(300);
  expect(performance.now() - before).toBeLessThan(5000);
  expect(facts).toEqual([]);
});

test("the queue for a receiver that never answers is bounded, and dropped notices are reported", async () => {
  const { baseUrl } = await serve(() => undefined);
  const names = Array.from({ length: 150 }, (_, index) => `stream-${index}`);
  const { streams, ...rest } = statusAt(fold([[LATER, ticked(18)]]), LATER);
  const failing = streams[0]!;
  const document = {
    ...rest,
    streams: names.map((stream) => ({ ...failing, stream, state: "stopped" as const, failedTicks: 1 })),
  };
  const facts: Fact[] = [];
  const notifier = notifications(
    { webhook: { url: () => baseUrl } },
    () => document,
    (fact) => facts.push(fact),
    {},
  );
  onTestFinished(() => notifier.end(AbortSignal.abort()));
  notifier.observe(refused);
  expect(facts.length).toBe(49);
  expect(new Set(facts.map(({ kind }) => kind))).toEqual(new Set(["notification.dropped"]));
});

test("heartbeats continue during a temporary failure, and while a stream catches up", async () => {
  const { url } = await receiver(200);
  const { add, saw, facts } = notifying({ heartbeat: { url: () => url, everyMs: 20 } });
  const outage: Fact = { ...refused, error: new TransientError("network", "GET /x: reset") };
  const beats = () => facts.filter(({ kind }) => kind === "notification.sent").length;
  add(outage);
  await saw(beats() + 2, "notification.sent");
  add(ticked(18, { exportedUntil: epochMs(LATER - 5 * 60 * MINUTE_MS) }));
  await saw(beats() + 2, "notification.sent");
});

test("heartbeats are sent only while all streams are healthy", async () => {
  const { url, requests } = await receiver(200);
  const { add, saw } = notifying({ heartbeat: { url: () => url, everyMs: 20 } });
  await saw(2, "notification.sent");
  expect(requests[0]).toMatchObject({ method: "GET", url: `/${SECRET}` });
  add(refused);
  // One may be under way. The next one would come within twenty milliseconds.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = requests.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(requests.length).toBe(before);
  add(ticked(18));
  const more = requests.length;
  await saw(more + 2, "notification.sent");
});
