import { expect, test } from "vitest";
import { KINDS } from "../../src/simulator/pachca-catalogue.ts";
import { pachcaHistory, type PachcaEvent } from "../../src/simulator/pachca-history.ts";
import { comparePositions } from "../../src/simulator/timeline.ts";
import { DAY_MS, HOUR_MS, epochMs, type Span } from "../../src/time.ts";

const MIDNIGHT = Date.UTC(2026, 4, 12);
const span = (from: number, to: number): Span => ({ from: epochMs(MIDNIGHT + from), to: epochMs(MIDNIGHT + to) });
const lines = (events: Iterable<PachcaEvent>): string[] => Array.from(events, ({ record }) => record.toString());

test.each([30, 20_000, 3_000_000])(
  "with %i events a day, a span answers the same however it is cut",
  (eventsPerDay) => {
    const [from, middle, to] = [9 * HOUR_MS + 1_234, 9 * HOUR_MS + 61_234, 9 * HOUR_MS + 122_000];
    const options = { seed: 7, eventsPerDay };
    const history = pachcaHistory(options);
    const whole = lines(history.events(span(from, to)));
    if (eventsPerDay > 30) expect(whole.length).toBeGreaterThan(10);

    const cut = pachcaHistory(options);
    const second = lines(cut.events(span(middle, to)));
    const first = lines(cut.events(span(from, middle)));
    expect([...first, ...second]).toEqual(whole);
    expect(lines(history.eventsBackwards(span(from, to)))).toEqual(whole.toReversed());
    expect(lines(pachcaHistory(options).events(span(from, to)))).toEqual(whole);
  },
);

test("a span that is read again after many other spans is still the same", () => {
  const history = pachcaHistory({ eventsPerDay: 200_000 });
  const before = lines(history.events(span(0, HOUR_MS)));
  let between = 0;
  for (const _ of history.events(span(DAY_MS, DAY_MS + 14 * HOUR_MS))) between++;
  expect(between).toBeGreaterThan(60_000);
  expect(lines(history.events(span(0, HOUR_MS)))).toEqual(before);
});

test("events are in order of time, then of id, and ids are unique", () => {
  const events = [...pachcaHistory({ eventsPerDay: 30_000 }).events(span(0, DAY_MS))];
  expect(events.slice(1).filter((event, place) => comparePositions(events[place]!, event) >= 0)).toEqual([]);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  expect(events[0]!.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("another seed gives another history", () => {
  const ids = (seed: number): string[] =>
    Array.from(pachcaHistory({ seed }).events(span(0, 8 * HOUR_MS)), ({ id }) => id);
  const known = new Set(ids(1));
  expect(known.size).toBeGreaterThan(1000);
  expect(ids(2).filter((id) => known.has(id))).toEqual([]);
  expect(ids(2 ** 40 + 1).filter((id) => known.has(id))).toEqual([]);
});

test.each([0, 50, 7_000])("a week has about seven times %i events", (eventsPerDay) => {
  let count = 0;
  for (const _ of pachcaHistory({ eventsPerDay }).events(span(0, 7 * DAY_MS))) count++;
  expect(Math.abs(count - 7 * eventsPerDay)).toBeLessThanOrEqual(
    0.05 * 7 * eventsPerDay + (eventsPerDay === 50 ? 40 : 0),
  );
});

test("working hours are busier than the night", () => {
  const count = (from: number): number => lines(pachcaHistory().events(span(from, from + HOUR_MS))).length;
  expect(count(8 * HOUR_MS)).toBeGreaterThan(5 * count(HOUR_MS));
});

test("a day has every kind of event, equal times, events at whole seconds, and text that is easily damaged", () => {
  const events = [...pachcaHistory({ eventsPerDay: 60_000 }).events(span(0, DAY_MS))];
  const text = lines(events).join("\n");

  expect(new Set(events.map(({ key }) => key))).toEqual(new Set(KINDS.map(({ key }) => key)));
  expect(events.filter(({ time }, place) => events[place + 1]?.time === time).length).toBeGreaterThan(500);
  expect(events.filter(({ time }) => time % 1000 === 0).length).toBeGreaterThan(500);
  for (const spelling of [
    "9007199254740993",
    '"factor":1.10}',
    "-3.50",
    "1E+2",
    "\\u041f",
    "\\/",
    "🚀",
    "日本",
    "\u2028",
  ]) {
    expect(text.includes(spelling), spelling).toBe(true);
  }
  const average = Buffer.byteLength(text) / events.length;
  expect(average).toBeGreaterThan(450);
  expect(average).toBeLessThan(700);
});

test("the members for filters have the values of the record", () => {
  for (const event of pachcaHistory({ eventsPerDay: 5_000 }).events(span(0, DAY_MS))) {
    expect(JSON.parse(event.record.toString())).toMatchObject({
      id: event.id,
      created_at: new Date(event.time).toISOString(),
      event_key: event.key,
      entity_id: event.entityId,
      entity_type: event.entityType,
      actor_id: event.actorId,
      actor_type: event.actorType,
    });
  }
});
