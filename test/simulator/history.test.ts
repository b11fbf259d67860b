import { expect, test } from "vitest";
import { KINDS } from "../../src/simulator/catalogue.ts";
import { historyOf, type HistoryEvent } from "../../src/simulator/history.ts";
import { comparePositions } from "../../src/simulator/timeline.ts";
import { DAY_MS, HOUR_MS, epochMs, type Span } from "../../src/time.ts";

const MIDNIGHT = Date.UTC(2026, 4, 12);
const span = (from: number, to: number): Span => ({ from: epochMs(MIDNIGHT + from), to: epochMs(MIDNIGHT + to) });
const lines = (events: Iterable<HistoryEvent>): string[] => Array.from(events, ({ record }) => record.toString());

test.each([30, 20_000, 3_000_000])(
  "with %i events a day, a span answers the same however it is cut",
  (eventsPerDay) => {
    const [from, middle, to] = [9 * HOUR_MS + 1_234, 9 * HOUR_MS + 61_234, 9 * HOUR_MS + 122_000];
    const options = { seed: 7, eventsPerDay };
    const history = historyOf(options);
    const whole = lines(history.events(span(from, to)));
    if (eventsPerDay > 30) expect(whole.length).toBeGreaterThan(10);

    const cut = historyOf(options);
    const second = lines(cut.events(span(middle, to)));
    const first = lines(cut.events(span(from, middle)));
    expect([...first, ...second]).toEqual(whole);
    expect(lines(history.eventsBackwards(span(from, to)))).toEqual(whole.toReversed());
    expect(lines(historyOf(options).events(span(from, to)))).toEqual(whole);
  },
);

test("what is asked again after much else was asked is still the same", () => {
  const history = historyOf({ eventsPerDay: 200_000 });
  const before = lines(history.events(span(0, HOUR_MS)));
  let between = 0;
  for (const _ of history.events(span(DAY_MS, DAY_MS + 14 * HOUR_MS))) between++;
  expect(between).toBeGreaterThan(60_000);
  expect(lines(history.events(span(0, HOUR_MS)))).toEqual(before);
});

test("events rise by time and then by id, and no id comes twice", () => {
  const events = [...historyOf({ eventsPerDay: 30_000 }).events(span(0, DAY_MS))];
  expect(events.slice(1).filter((event, place) => comparePositions(events[place]!, event) >= 0)).toEqual([]);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  expect(events[0]!.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("another seed is another history", () => {
  const ids = (seed: number): string[] => Array.from(historyOf({ seed }).events(span(0, 8 * HOUR_MS)), ({ id }) => id);
  const known = new Set(ids(1));
  expect(known.size).toBeGreaterThan(1000);
  expect(ids(2).filter((id) => known.has(id))).toEqual([]);
  expect(ids(2 ** 40 + 1).filter((id) => known.has(id))).toEqual([]);
});

test.each([0, 50, 7_000])("a week holds about seven times %i events", (eventsPerDay) => {
  let count = 0;
  for (const _ of historyOf({ eventsPerDay }).events(span(0, 7 * DAY_MS))) count++;
  expect(Math.abs(count - 7 * eventsPerDay)).toBeLessThanOrEqual(
    0.05 * 7 * eventsPerDay + (eventsPerDay === 50 ? 40 : 0),
  );
});

test("working hours are busier than the night", () => {
  const count = (from: number): number => lines(historyOf().events(span(from, from + HOUR_MS))).length;
  expect(count(8 * HOUR_MS)).toBeGreaterThan(5 * count(HOUR_MS));
});

test("a day has every kind of event, ties, events on whole seconds, and text that is easily damaged", () => {
  const events = [...historyOf({ eventsPerDay: 60_000 }).events(span(0, DAY_MS))];
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

test("what an event is filtered by is what its record says", () => {
  for (const event of historyOf({ eventsPerDay: 5_000 }).events(span(0, DAY_MS))) {
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
