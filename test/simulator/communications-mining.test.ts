import { expect, onTestFinished, test } from "vitest";
import type { FaultOptions } from "../../src/simulator/faults.ts";
import { simulator, type Simulator, type SimulatorOptions } from "../../src/simulator/simulator.ts";
import { DAY_MS, MINUTE_MS, SECOND_MS, epochMs, type Span } from "../../src/time.ts";
import { ask, idsOf, linesOf, pastSpan, queryMining, trueTimes, walkMining, type MiningEvent } from "./walk.ts";

async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const one = await simulator({ requestsPerSecond: Infinity, ...options });
  onTestFinished(() => one.close());
  return one;
}

const historyIn = (one: Simulator, span: Span): MiningEvent[] =>
  linesOf(one.mining.history(span)).map((line) => JSON.parse(line) as MiningEvent);
const shows =
  ({ from, to }: Span) =>
  ({ timestamp }: MiningEvent): boolean =>
    Date.parse(timestamp) >= from && Date.parse(timestamp) < to;

test.each([1, 7, 128, 1000])("pages of %i have every event of a span, each once", async (limit) => {
  const one = await start({ eventsPerDay: 60_000 });
  const span = pastSpan(limit === 1 ? 2 : 25);
  const pages = await walkMining(one, { ...trueTimes(span, SECOND_MS), limit });
  const expected = historyIn(one, span).map(({ event_id }) => event_id);
  expect(expected.length).toBeGreaterThan(limit);
  const shown = pages.flatMap(({ audit_events }) => audit_events.filter(shows(span)));
  expect(shown.map(({ event_id }) => event_id).sort()).toEqual(expected.sort());
  expect(new Set(idsOf(pages)).size).toBe(idsOf(pages).length);
  expect(pages.slice(0, -1).every(({ audit_events }) => audit_events.length === limit)).toBe(true);
});

test("a page has the events of the history and their resources, and no order of time", async () => {
  const one = await start({ eventsPerDay: 60_000 });
  const span = pastSpan(10);
  const [page] = await walkMining(one, { ...trueTimes(span, SECOND_MS), limit: 1000 });
  const { text, audit_events: events, continuation, ...rest } = page!;
  expect(continuation).toBeUndefined();
  for (const line of linesOf(one.mining.history(span))) {
    const [event = "", resources = ""] = line.split(',"_resources":');
    expect(text).toContain(event.endsWith("}") ? event : `${event}}`);
    for (const row of resources.match(/\{"id":"[^"]+"/g) ?? []) expect(text).toContain(row);
  }
  expect(Object.keys(rest).sort()).toEqual(
    ["datasets", "projects", "sources", "status", "tenants", "triggers", "users"].sort(),
  );
  const times = events.map(({ timestamp }) => timestamp);
  expect(times).not.toEqual(times.toSorted());
  expect(times).not.toEqual(times.toSorted().reverse());
});

test("the default limit is 128, and a thousand or more can be requested", async () => {
  const one = await start({ eventsPerDay: 300_000 });
  const lengthOf = async (body: object): Promise<number> =>
    ((await (await queryMining(one, body)).json()) as { audit_events: unknown[] }).audit_events.length;
  expect(await lengthOf({})).toBe(128);
  expect(await lengthOf({ limit: 1000 })).toBe(1000);
  expect((await queryMining(one, { limit: 1001 })).status).toBe(400);
  const larger = await start({ eventsPerDay: 300_000, pageLimit: 5000 });
  expect((await queryMining(larger, { limit: 5000 })).status).toBe(200);
});

test("an answer without events has a list of tenants and no continuation", async () => {
  const one = await start();
  const none = trueTimes({ from: epochMs(0), to: epochMs(DAY_MS) });
  expect(await (await queryMining(one, none)).json()).toEqual({ audit_events: [], status: "ok", tenants: [] });
});

test("the filter uses the true time: the minimum is inclusive, the maximum exclusive", async () => {
  const one = await start({ eventsPerDay: 200_000, tieMs: 1000 });
  const { from, to } = pastSpan(3);
  const second = historyIn(one, { from, to }).map(({ timestamp }) => Date.parse(timestamp))[0]!;
  const next = second + SECOND_MS;
  const found = async (minimum: number, maximum: number): Promise<string[]> =>
    idsOf(await walkMining(one, trueTimes({ from: epochMs(minimum), to: epochMs(maximum) })));
  const whole = await found(second, next);
  expect(whole.length).toBeGreaterThan(0);
  expect(await found(second, second + 1)).toEqual(whole);
  expect(await found(second + 1, next)).toEqual([]);
  expect(await found(second - 999, second)).toEqual([]);
});

test("the shown time of an event may be outside of the filter", async () => {
  const one = await start({ eventsPerDay: 200_000 });
  const { from } = pastSpan(1);
  const before = { from: epochMs(from - SECOND_MS / 2), to: from };
  const pages = await walkMining(one, trueTimes(before));
  expect(pages.flatMap(({ audit_events }) => audit_events).length).toBeGreaterThan(0);
  for (const { timestamp } of pages.flatMap(({ audit_events }) => audit_events)) {
    expect(Date.parse(timestamp)).toBe(from);
  }
});

test.each<readonly [string, unknown, RegExp]>([
  ["no JSON", "{", /JSON/],
  ["a list", [], /object/],
  ["a limit of nothing", { limit: 0 }, /limit/],
  ["a limit in words", { limit: "7" }, /limit/],
  ["a filter that is a list", { filter: [] }, /filter/],
  ["an invalid instant", { filter: { timestamp: { minimum: "yesterday" } } }, /minimum/],
  ["an instant without a zone", { filter: { timestamp: { maximum: "2026-11-01T00:00:00" } } }, /maximum/],
  ["a continuation of another query", { continuation: "2555880060c23eb5" }, /continuation/],
  ["a continuation that is no text", { continuation: 7 }, /continuation/],
])("%s is answered with 400 and what is wrong", async (_, body, message) => {
  const response = await queryMining(await start(), body);
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ status: "error", message: expect.stringMatching(message) as string });
});

test("wrong tokens, unknown paths and methods are refused in the vendor's form", async () => {
  const one = await start();
  const statusOf = async (asked: Promise<Response>): Promise<number> => {
    const response = await asked;
    expect(await response.json()).toEqual({ status: "error", message: expect.any(String) as string });
    return response.status;
  };
  expect(await statusOf(queryMining(one, {}, { headers: { authorization: "" } }))).toBe(401);
  expect(await statusOf(queryMining(one, {}, { headers: { authorization: "Bearer other" } }))).toBe(401);
  expect(await statusOf(queryMining(one, {}, { path: "/api/v1/datasets" }))).toBe(404);
  expect(await statusOf(queryMining(one, {}, { method: "PUT" }))).toBe(405);
  expect(await statusOf(queryMining(one, "x".repeat(2_000_000)))).toBe(413);
  one.access.scopes = [];
  expect(await statusOf(queryMining(one))).toBe(403);
});

test("the older form of the base URL, without a tenant, leads to the same log", async () => {
  const one = await start();
  const { origin } = new URL(one.mining.url);
  const body = JSON.stringify(trueTimes(pastSpan(1)));
  const headers = { authorization: `Bearer ${one.access.token}` };
  const response = await fetch(`${origin}/api/v1/audit_events/query`, { method: "POST", body, headers });
  expect(await response.text()).toBe(await (await queryMining(one, body)).text());
});

test("queries add no event to either log, and have their own rate limit", async () => {
  const one = await start({ eventsPerDay: 0, requestsPerSecond: 1 });
  const statuses = [await queryMining(one), await ask(one, "/audit_events"), await queryMining(one)];
  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(statuses[2]!.headers.get("retry-after")).toBe("1");
  expect(await statuses[0]!.json()).toMatchObject({ audit_events: [] });
  expect(await statuses[1]!.json()).toMatchObject({ data: [] });
  expect(await statuses[2]!.json()).toEqual({ status: "error", message: "429 Too Many Requests" });
});

test.each<readonly [string, FaultOptions, number, unknown]>([
  ["429", { rateLimited: 1, retryAfter: 17 }, 429, { status: "error", message: "429 Too Many Requests" }],
  ["503", { serverError: 1, serverErrorStatus: 503 }, 503, { status: "error", message: "503 Service Unavailable" }],
  ["an error within a 200", { statusError: 1 }, 200, { status: "error", message: "the query could not be completed" }],
])("%s may be the answer", async (_, faults, status, body) => {
  const response = await queryMining(await start({ faults }));
  expect([response.status, await response.json()]).toEqual([status, body]);
});

test("faults of delivery affect it as they affect Pachca's log, and faults of one path affect only that path", async () => {
  const one = await start({ faults: { cutBody: { next: 1 } } });
  const cut = await queryMining(one);
  await expect(cut.text()).rejects.toThrow();
  Object.assign(one.faults, { path: "/audit_events", reset: 1 });
  expect((await queryMining(one)).status).toBe(200);
  await expect(ask(one, "/audit_events")).rejects.toThrow();
});

test("continuations can expire, by the simulated clock, and can lead back to the start", async () => {
  const one = await start({ faults: { cursorSeconds: 60 } });
  const query = trueTimes(pastSpan(60));
  const first = (await (await queryMining(one, query)).json()) as { continuation: string; audit_events: unknown };
  const { continuation } = first;
  expect((await queryMining(one, { ...query, continuation })).status).toBe(200);
  one.clockOffsetMs += 61_000;
  expect((await queryMining(one, { ...query, continuation })).status).toBe(400);

  one.faults.cursorSeconds = undefined;
  one.faults.cursorLoop = 1;
  const looped = (await (await queryMining(one, query)).json()) as typeof first;
  const again = (await (
    await queryMining(one, { ...query, continuation: looped.continuation })
  ).json()) as typeof first;
  expect(again).toEqual(looped);
});

test("late events appear after their time, and future events do not appear", async () => {
  const lateness = { share: 0.3, maxSeconds: 600 };
  const one = await start({ eventsPerDay: 2_000_000, lateness, clockOffsetMs: -DAY_MS });
  const to = epochMs(Date.now() - DAY_MS - SECOND_MS);
  const span = { from: epochMs(to - MINUTE_MS), to };
  const ids = async (): Promise<string[]> => idsOf(await walkMining(one, { ...trueTimes(span), limit: 1000 }));
  const early = await ids();
  one.clockOffsetMs += 20 * MINUTE_MS;
  const all = await ids();
  expect(early.length).toBeGreaterThan(all.length * 0.6);
  expect(early.length).toBeLessThan(all.length);
  expect(all).toEqual(expect.arrayContaining(early));
  const beyond = { from: epochMs(Date.now() + one.clockOffsetMs + MINUTE_MS), to: epochMs(Date.now()) };
  expect(idsOf(await walkMining(one, trueTimes(beyond)))).toEqual([]);
});

test("there is no history outside of since and until, by the true time", async () => {
  const { from, to } = pastSpan(10);
  const one = await start({ since: from, until: to, eventsPerDay: 60_000 });
  const around = { from: epochMs(from - DAY_MS), to: epochMs(to + DAY_MS) };
  const found = idsOf(await walkMining(one, trueTimes(around)));
  expect(found.length).toBeGreaterThan(100);
  expect(found.sort()).toEqual(
    historyIn(one, around)
      .map(({ event_id }) => event_id)
      .sort(),
  );
});
