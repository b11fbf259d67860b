import { afterEach, expect, test } from "vitest";
import { simulator, type Simulator, type SimulatorOptions } from "../../src/simulator/simulator.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, epochMs } from "../../src/time.ts";
import { ask, bounds, linesOf, pageOf, pastSpan, query, walk, type Event } from "./walk.ts";

const running: Simulator[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
});

async function start(options: SimulatorOptions = {}): Promise<Simulator> {
  const one = await simulator({ requestsPerSecond: Infinity, ...options });
  running.push(one);
  return one;
}

const timesOf = (events: readonly Event[]): number[] => events.map((event) => Date.parse(event.created_at));

test.each([1, 7, 50])("pages of %i have every event once, from new to old, byte for byte", async (limit) => {
  const one = await start({ recordReads: false });
  const span = pastSpan(limit === 1 ? 1 : 5);
  const pages = await walk(one, { ...bounds(span), limit });
  const expected = linesOf(one.history(span)).toReversed();
  expect(expected.length).toBeGreaterThan(limit);

  const sent = pages.map(({ text }) => text.slice('{"data":['.length, text.indexOf('],"meta":')));
  expect(sent.filter((text) => text !== "").join(",")).toBe(expected.join(","));
  expect(pages.slice(0, -1).every(({ data }) => data.length === limit)).toBe(true);
  expect(pages.map(({ paginate }) => paginate.has_prev)).toEqual(pages.map((_, place) => place > 0));
});

test("the default limit is 50, and times never increase", async () => {
  const one = await start();
  const { data, paginate } = await pageOf(one);
  expect(data).toHaveLength(50);
  expect(paginate).toMatchObject({ has_next: true, has_prev: false });
  expect(timesOf(data)).toEqual(timesOf(data).toSorted((a, b) => b - a));
});

test("both bounds are inclusive, and the upper bound is exclusive by option", async () => {
  const span = pastSpan(60);
  const inclusive = await start();
  const exclusive = await start({ endInclusive: false });
  const events = linesOf(inclusive.history(span)).map((line) => JSON.parse(line) as Event);
  const [first, last] = [events[3]!.created_at, events[40]!.created_at];

  const both = (await walk(inclusive, { start_time: first, end_time: last })).flatMap(({ data }) => data);
  expect(both.map(({ id }) => id)).toEqual(
    events
      .filter(({ created_at: at }) => at >= first && at <= last)
      .map(({ id }) => id)
      .toReversed(),
  );
  const lower = (await walk(exclusive, { start_time: first, end_time: last })).flatMap(({ data }) => data);
  expect(lower.map(({ id }) => id)).toEqual(both.filter(({ created_at: at }) => at < last).map(({ id }) => id));
});

test.each(["event_key", "actor_id", "actor_type", "entity_id", "entity_type"] as const)("%s filters", async (name) => {
  const one = await start({ recordReads: false });
  const span = pastSpan(120);
  const events = linesOf(one.history(span)).map((line) => JSON.parse(line) as Event);
  const value = events[20]![name];
  const pages = await walk(one, { ...bounds(span), [name]: value });
  const wanted = events.filter((event) => event[name] === value).map(({ id }) => id);
  expect(pages.flatMap(({ data }) => data.map(({ id }) => id))).toEqual(wanted.toReversed());
  expect((await pageOf(one, { ...bounds(span), [name]: "nobody" })).data).toEqual([]);
});

test("a filter that finds nothing for a long time is answered with short pages, which are not the end", async () => {
  const one = await start({ recordReads: false, eventsPerDay: 2_000_000 });
  const pages = await walk(one, { ...bounds(pastSpan(60)), event_key: "nothing_of_the_kind" });
  expect(pages.length).toBeGreaterThan(1);
  expect(pages.every(({ data }) => data.length === 0)).toBe(true);
  expect(new Set(pages.map(({ paginate }) => paginate.next_page)).size).toBeGreaterThanOrEqual(pages.length - 1);
});

test("a cursor is never null, and the last one repeats itself with empty pages", async () => {
  const one = await start({ recordReads: false });
  const span = pastSpan(1);
  const last = (await walk(one, bounds(span))).at(-1)!;
  const beyond = await pageOf(one, { ...bounds(span), cursor: last.paginate.next_page });
  expect(beyond.data).toEqual([]);
  expect(beyond.paginate).toMatchObject({ next_page: last.paginate.next_page, has_next: false, has_prev: true });

  const empty = await pageOf(one, { start_time: "1999-01-01T00:00:00Z", end_time: "1999-01-02T00:00:00Z" });
  expect(empty.data).toEqual([]);
  expect(empty.paginate).toEqual({
    next_page: expect.stringMatching(/^[\w-]+$/) as string,
    prev_page: expect.stringMatching(/^[\w-]+$/) as string,
    has_next: false,
    has_prev: false,
  });
});

test("prev_page leads to the next newer events, and stays the same while there are none", async () => {
  const one = await start({ recordReads: false, eventsPerDay: 3_000_000, pageLimit: 200, clockOffsetMs: -2 * HOUR_MS });
  const top = await pageOf(one);
  const anchored = await pageOf(one, { cursor: top.paginate.prev_page });
  const from = epochMs(Date.parse(top.data[0]!.created_at) + 1);
  one.clockOffsetMs += 2 * MINUTE_MS;

  const seen = [...anchored.data].reverse();
  for (let page = anchored; ;) {
    page = await pageOf(one, { cursor: page.paginate.prev_page, limit: 200 });
    expect(timesOf(page.data)).toEqual(timesOf(page.data).toSorted((a, b) => b - a));
    seen.push(...page.data.toReversed());
    if (!page.paginate.has_prev) break;
  }
  expect(seen.length).toBeGreaterThan(100);
  const wanted = linesOf(one.history({ from, to: epochMs(Date.now() + one.clockOffsetMs) }));
  const ids = seen.map(({ id }) => id);
  // The clock moves on between the last page and the expected history.
  expect(wanted.map((line) => (JSON.parse(line) as Event).id).slice(0, ids.length)).toEqual(ids);
});

test("the old contract has only next_page, and ends with an answer without data", async () => {
  const one = await start({ contract: "old", recordReads: false });
  const span = pastSpan(5);
  let page = await pageOf(one, bounds(span));
  let count = 0;
  while (page.data.length > 0) {
    expect(Object.keys(page.paginate)).toEqual(["next_page"]);
    count += page.data.length;
    page = await pageOf(one, { ...bounds(span), cursor: page.paginate.next_page });
  }
  expect(count).toBe(linesOf(one.history(span)).length);
  expect(page.paginate.next_page).not.toBeNull();
});

test("each read adds an event to the log, which the next read shows", async () => {
  const one = await start({ eventsPerDay: 0 });
  const agent = `siem-export/1 ${"x".repeat(300)}`;
  await ask(one, "/audit_events", { headers: { "user-agent": agent } });
  await ask(one, "/audit_events?limit=0");
  const { data } = await pageOf(one);
  expect(data).toMatchObject([
    { event_key: "audit_events_accessed", details: {}, user_agent: agent.slice(0, 255), ip_address: "127.0.0.1" },
  ]);
  expect(Math.abs(Date.parse(data[0]!.created_at) - Date.now())).toBeLessThan(60_000);

  const third = await pageOf(one);
  expect(third.data).toHaveLength(2);
  const span = { from: epochMs(Date.now() - HOUR_MS), to: epochMs(Date.now() + HOUR_MS) };
  expect(linesOf(one.history(span))).toHaveLength(3);

  const silent = await start({ eventsPerDay: 0, recordReads: false });
  await pageOf(silent);
  expect((await pageOf(silent)).data).toEqual([]);
});

test("future events do not appear, by the simulated clock", async () => {
  const one = await start({ eventsPerDay: 5_000_000, clockOffsetMs: -DAY_MS, recordReads: false });
  const before = Date.now() - DAY_MS;
  const { data } = await pageOf(one);
  expect(timesOf(data)[0]).toBeGreaterThan(before - MINUTE_MS);
  expect(timesOf(data)[0]).toBeLessThanOrEqual(Date.now() - DAY_MS);
});

test("late events appear after their time, and then stay", async () => {
  const lateness = { share: 0.3, maxSeconds: 600 };
  const one = await start({ eventsPerDay: 3_000_000, pageLimit: 1000, recordReads: false, lateness });
  const to = epochMs(Date.now() - 1000);
  const span = { from: epochMs(to - 2 * MINUTE_MS), to };
  const ids = async (): Promise<string[]> =>
    (await walk(one, { ...bounds(span), limit: 1000 })).flatMap(({ data }) => data.map(({ id }) => id));
  const all = linesOf(one.history(span))
    .map((line) => (JSON.parse(line) as Event).id)
    .toReversed();

  const early = await ids();
  expect(early.length).toBeGreaterThan(all.length * 0.6);
  expect(early.length).toBeLessThan(all.length);
  one.clockOffsetMs += 5 * MINUTE_MS;
  const later = await ids();
  expect(later.length).toBeGreaterThan(early.length);
  expect(later).toEqual(expect.arrayContaining(early));
  one.clockOffsetMs += 5 * MINUTE_MS;
  expect(await ids()).toEqual(all);
});

test("there is no history older than 90 days, nor outside of since and until", async () => {
  const one = await start({ recordReads: false });
  const floor = Date.now() - 90 * DAY_MS;
  const old = await walk(one, bounds({ from: epochMs(floor - DAY_MS), to: epochMs(floor + HOUR_MS) }));
  const oldest = timesOf(old.flatMap(({ data }) => data)).at(-1)!;
  expect(oldest).toBeGreaterThanOrEqual(floor);

  const { from: since, to: until } = pastSpan(10);
  const part = await start({ since, until, recordReads: false });
  const times = timesOf((await walk(part)).flatMap(({ data }) => data));
  expect(times).toHaveLength(linesOf(one.history({ from: since, to: until })).length);
  expect(Math.min(...times)).toBeGreaterThanOrEqual(since);
  expect(Math.max(...times)).toBeLessThan(until);
});

test("indented JSON has the same tokens", async () => {
  const [plain, pretty] = [await start({ recordReads: false }), await start({ recordReads: false, pretty: true })];
  const search = `/audit_events?${query(bounds(pastSpan(60)))}`;
  const [compact, indented] = await Promise.all([plain, pretty].map(async (one) => (await ask(one, search)).text()));
  const lines = indented!.split("\n");
  expect(lines.length).toBeGreaterThan(500);
  expect(lines.map((line) => line.trim().replace(/^("(?:[^"\\]|\\.)*"): /, "$1:")).join("")).toBe(compact);
});

test("a thousand events a page, many at once, are the same events", async () => {
  const one = await start({ eventsPerDay: 4_000_000, pageLimit: 1000, recordReads: false, latencyMs: 5 });
  const spans = Array.from({ length: 8 }, (_, part) => {
    const from = pastSpan(1).from + part * 10_000;
    return { from: epochMs(from), to: epochMs(from + 10_000) };
  });
  const walks = await Promise.all(spans.map((span) => walk(one, { ...bounds(span), limit: 1000 })));
  expect(one.requests).toBe(walks.flat().length);
  for (const [place, span] of spans.entries()) {
    const ids = walks[place]!.flatMap(({ data }) => data.map(({ id }) => id));
    expect(ids).toEqual(
      linesOf(one.history(span))
        .map((line) => line.slice(7, 43))
        .toReversed(),
    );
  }
});

test("closing ends a delayed answer, and can be repeated", async () => {
  const one = await start({ latencyMs: 600_000 });
  const asked = ask(one, "/audit_events");
  const refused = expect(asked).rejects.toThrow();
  await expect.poll(() => one.requests).toBe(1);
  await one.close();
  await one.close();
  await refused;
});

test("a port that is in use is reported with what to do", async () => {
  const one = await start();
  await expect(simulator({ port: one.port })).rejects.toMatchObject({
    name: "ConfigError",
    hint: /another port/ as unknown,
  });
});
