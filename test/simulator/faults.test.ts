import { afterEach, expect, test } from "vitest";
import type { FaultOptions } from "../../src/simulator/faults.ts";
import { simulator, type Simulator, type SimulatorOptions } from "../../src/simulator/simulator.ts";
import { ask, bounds, linesOf, pageOf, pastSpan, query, walk, type Event } from "./walk.ts";

const running: Simulator[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.close();
});

async function start(faults: FaultOptions = {}, options: SimulatorOptions = {}): Promise<Simulator> {
  const one = await simulator({ requestsPerSecond: Infinity, recordReads: false, faults, ...options });
  running.push(one);
  return one;
}

const statusOf = async (one: Simulator, path = "/audit_events"): Promise<number> => (await ask(one, path)).status;

test("a count affects the next requests, and can be set again while the simulator runs", async () => {
  const one = await start({ serverError: { next: 2 }, serverErrorStatus: 503 });
  const statuses = async (count: number): Promise<number[]> => {
    const all: number[] = [];
    while (all.length < count) all.push(await statusOf(one));
    return all;
  };
  expect(await statuses(4)).toEqual([503, 503, 200, 200]);
  one.faults.serverError = { next: 1 };
  expect(await statuses(2)).toEqual([503, 200]);
});

test("a share affects that share of requests, the same ones for the same seed", async () => {
  const fates = async (seed: number): Promise<boolean[]> => {
    const one = await start({ serverError: 0.3 }, { seed, eventsPerDay: 0 });
    const all: boolean[] = [];
    while (all.length < 200) all.push((await statusOf(one)) === 200);
    return all;
  };
  const first = await fates(5);
  const failed = first.filter((well) => !well).length;
  expect(failed).toBeGreaterThan(30);
  expect(failed).toBeLessThan(90);
  expect(await fates(5)).toEqual(first);
});

test("faults affect the named endpoint", async () => {
  const one = await start({ serverError: 1, serverErrorStatus: 500, path: "/oauth/token/info" });
  expect(await statusOf(one)).toBe(200);
  expect(await statusOf(one, "/oauth/token/info")).toBe(500);
});

test("a server error has an HTML body", async () => {
  const one = await start({ serverError: 1 });
  const response = await ask(one, "/audit_events");
  expect([500, 502, 503]).toContain(response.status);
  expect(response.headers.get("content-type")).toContain("text/html");
  expect(await response.text()).toMatch(/^<html>/);
});

test("above the rate limit, and by fault, the answer is 429 with the configured wait", async () => {
  const limited = await start({}, { requestsPerSecond: 0 });
  const refused = await ask(limited, "/audit_events");
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
  expect(await refused.json()).toMatchObject({ errors: [{ code: "rate_limit" }] });

  const one = await start({ rateLimited: 1 });
  const header = async (faults: FaultOptions): Promise<string | null> => {
    Object.assign(one.faults, faults);
    const response = await ask(one, "/audit_events");
    expect(response.status).toBe(429);
    return response.headers.get("retry-after");
  };
  expect(await header({ retryAfter: 17 })).toBe("17");
  expect(await header({ retryAfter: 99_999_999_999 })).toBe("99999999999");
  expect(await header({ retryAfter: "soon" })).toBe("soon");
  expect(await header({ retryAfter: null })).toBeNull();
  const date = await header({ retryAfter: 3600, retryAfterAsDate: true });
  expect(date).toMatch(/GMT$/);
  expect(Math.abs(Date.parse(date!) - Date.now() - 3_600_000)).toBeLessThan(60_000);
});

test("the rate limit lets exactly the limit through, and refused requests are counted", async () => {
  const one = await start({}, { requestsPerSecond: 3, eventsPerDay: 0 });
  const statuses = await Promise.all(Array.from({ length: 9 }, () => statusOf(one)));
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
  expect(new Set(statuses).size).toBe(2);
  expect(one.requests).toBe(9);
  expect(one.peakRequestsPerSecond).toBeGreaterThan(3);
});

test("an unpaid workspace is refused everywhere", async () => {
  const one = await start({ unpaid: 1 });
  for (const path of ["/audit_events", "/oauth/token/info"]) {
    const response = await ask(one, path);
    expect(response.status).toBe(402);
    expect(await response.json()).toMatchObject({ errors: [{ code: "payment_required" }] });
  }
});

test("an HTML page can come with 200", async () => {
  const one = await start({ html: 1 });
  const response = await ask(one, "/audit_events");
  expect(response.status).toBe(200);
  expect(await response.text()).toMatch(/^<html>/);
});

test("half of the JSON can come as if it were complete", async () => {
  const one = await start({ truncatedJson: 1 });
  const response = await ask(one, "/audit_events");
  // Bytes, not text: the half may end within a character.
  const body = Buffer.from(await response.arrayBuffer());
  expect(body.length).toBe(Number(response.headers.get("content-length")));
  expect(() => JSON.parse(body.toString()) as unknown).toThrow(SyntaxError);
});

test("a body can be cut: the headers come, the end does not", async () => {
  const one = await start({ cutBody: 1 });
  const response = await ask(one, "/audit_events");
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test("a connection can be closed without an answer", async () => {
  const one = await start({ reset: 1 });
  await expect(ask(one, "/audit_events")).rejects.toThrow();
});

test("a server can be silent, before or after the headers, until the simulator closes", async () => {
  const one = await start({ stalledBody: 1 });
  const response = await ask(one, "/audit_events");
  expect(response.status).toBe(200);
  one.faults.stalledBody = 0;
  one.faults.silence = 1;
  const silent = expect(ask(one, "/audit_events")).rejects.toThrow();
  const stalled = expect(response.text()).rejects.toThrow();
  await expect.poll(() => one.requests).toBe(2);
  // Both are still waiting: a third request, after them, is answered at once.
  one.faults.silence = 0;
  expect(await statusOf(one)).toBe(200);
  await one.close();
  await Promise.all([silent, stalled]);
});

test("cursors can expire, by the simulated clock", async () => {
  const one = await start({ cursorSeconds: 60 });
  const span = bounds(pastSpan(30));
  const { paginate } = await pageOf(one, span);
  expect((await pageOf(one, { ...span, cursor: paginate.next_page })).data).toHaveLength(50);
  one.clockOffsetMs += 61_000;
  const response = await ask(one, `/audit_events?${query({ ...span, cursor: paginate.next_page })}`);
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ errors: [{ key: "cursor", message: "Cursor has expired" }] });
});

test("cursors can lead back to the first page, and there is always a next page", async () => {
  const one = await start({ cursorLoop: 1 });
  const span = bounds(pastSpan(30));
  const first = await pageOf(one, span);
  const second = await pageOf(one, { ...span, cursor: first.paginate.next_page });
  const third = await pageOf(one, { ...span, cursor: second.paginate.next_page });
  expect(second.data).toEqual(first.data);
  expect(third.paginate).toEqual(second.paginate);
  expect(third.paginate.has_next).toBe(true);
});

test("poison replaces an event in three ways, and the simulator lists it", async () => {
  const one = await start({ poisonEvery: 10 }, { eventsPerDay: 60_000 });
  const span = pastSpan(10);
  const pages = await walk(one, bounds(span));
  const items = pages.flatMap(({ data }) => data as readonly (Partial<Event> | null)[]);
  const isPoison = (item: Partial<Event> | null): boolean =>
    item?.id === undefined || Number.isNaN(Date.parse(item.created_at ?? ""));
  const poison = items.filter(isPoison);

  expect(poison.some((item) => item === null)).toBe(true);
  expect(poison.some((item) => item !== null && item.id === undefined)).toBe(true);
  expect(poison.some((item) => item?.created_at === "yesterday")).toBe(true);
  expect(poison.length).toBeGreaterThan(items.length / 20);
  expect(linesOf(one.poison(span)).map((line) => JSON.parse(line) as unknown)).toEqual(poison.toReversed());
  const whole = items.filter((item) => !isPoison(item));
  expect(linesOf(one.history(span)).map((line) => JSON.parse(line) as unknown)).toEqual(whole.toReversed());
});

test("an event can contain a byte that is not UTF-8, and is sent as the history has it", async () => {
  const one = await start({ invalidUtf8Every: 5 });
  const span = pastSpan(10);
  const page = await ask(one, `/audit_events?${query(bounds(span))}`);
  const body = Buffer.from(await page.arrayBuffer());
  const newest = [...one.history(span)].reverse().slice(0, 50);
  expect(newest.some((record) => record.includes(0xff))).toBe(true);
  const end = body.indexOf('],"meta":');
  const joined = Buffer.concat(
    newest.flatMap((record, place) => (place === 0 ? [record] : [Buffer.from(","), record])),
  );
  expect(body.subarray('{"data":['.length, end).equals(joined)).toBe(true);
});

test("an event can be huge", async () => {
  const one = await start({ hugeEvery: 4, hugeBytes: 300_000 });
  const { data, text } = await pageOf(one, bounds(pastSpan(30)));
  const huge = data.filter(({ details }) => "padding" in details);
  expect(huge.length).toBeGreaterThan(0);
  expect(text.length).toBeGreaterThan(300_000 * huge.length);
  expect(huge.length).toBeLessThan(data.length);
});

test("an access log has each request with its fault, and no token", async () => {
  const lines: unknown[] = [];
  const one = await start({ reset: { next: 1 } }, { observe: (line) => lines.push(line) });
  await ask(one, "/audit_events?limit=1").catch(() => undefined);
  await ask(one, "/audit_events?limit=1");
  expect(lines).toMatchObject([
    { method: "GET", path: "/api/shared/v1/audit_events", status: 0, fault: "reset" },
    { status: 200, fault: undefined },
  ]);
  expect(JSON.stringify(lines)).not.toContain(one.access.token);
});
