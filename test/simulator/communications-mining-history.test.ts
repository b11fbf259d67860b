import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { GROUPS, MINING_KINDS, rowOf } from "../../src/simulator/communications-mining-catalogue.ts";
import {
  lineOf,
  communicationsMiningHistory,
  shownIn,
  type MiningEvent,
} from "../../src/simulator/communications-mining-history.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, epochMs, type Span } from "../../src/time.ts";

const MIDNIGHT = Date.UTC(2026, 4, 12);
const span = (from: number, to: number): Span => ({ from: epochMs(MIDNIGHT + from), to: epochMs(MIDNIGHT + to) });
const lines = (events: Iterable<MiningEvent>): string[] => Array.from(events, (event) => lineOf(event).toString());
const day = (eventsPerDay: number): MiningEvent[] => [
  ...communicationsMiningHistory({ eventsPerDay }).events(span(0, DAY_MS)),
];

test.each([300, 20_000, 3_000_000])(
  "with %i events a day, what shows in a span is the same however it is cut",
  (eventsPerDay) => {
    const [from, middle, to] = [9 * HOUR_MS, 9 * HOUR_MS + MINUTE_MS, 9 * HOUR_MS + 2 * MINUTE_MS];
    const options = { seed: 7, eventsPerDay };
    const whole = lines(shownIn(communicationsMiningHistory(options), span(from, to)));
    if (eventsPerDay > 300) expect(whole.length).toBeGreaterThan(10);

    const cut = communicationsMiningHistory(options);
    const second = lines(shownIn(cut, span(middle, to)));
    const first = lines(shownIn(cut, span(from, middle)));
    expect([...first, ...second]).toEqual(whole);
  },
);

test("another seed gives another history, which is not Pachca's either", () => {
  const ids = (seed: number): string[] =>
    Array.from(communicationsMiningHistory({ seed }).events(span(0, HOUR_MS)), ({ id }) => id);
  const known = new Set(ids(1));
  expect(known.size).toBeGreaterThan(50);
  expect(ids(2).filter((id) => known.has(id))).toEqual([]);
});

test("lines are in order of their shown time, then of their id, and ids are unique", () => {
  const events = [...shownIn(communicationsMiningHistory({ eventsPerDay: 20_000 }), span(0, DAY_MS))];
  const isBefore = (one: MiningEvent, next: MiningEvent) =>
    one.shown < next.shown || (one.shown === next.shown && one.id < next.id);
  expect(events.slice(1).filter((event, place) => !isBefore(events[place]!, event))).toEqual([]);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
});

test("times are shown rounded to the nearest second, and many are just before or after a whole minute", () => {
  const events = day(20_000);
  const isToldToTheSecond = ({ time, shown, record }: MiningEvent): boolean => {
    const { timestamp } = JSON.parse(record.toString()) as { timestamp: string };
    const isNearest = Math.abs(shown - time) <= SECOND_MS / 2 && shown % SECOND_MS === 0;
    return isNearest && timestamp === new Date(shown).toISOString().replace(".000Z", "Z");
  };
  expect(events.filter((event) => !isToldToTheSecond(event))).toEqual([]);
  const onMinutes = events.filter(({ shown }) => shown % MINUTE_MS === 0);
  expect(onMinutes.length).toBeGreaterThan(DAY_MS / MINUTE_MS / 2);
  expect(onMinutes.filter(({ time, shown }) => time < shown).length).toBeGreaterThan(200);
  expect(onMinutes.filter(({ time, shown }) => time > shown).length).toBeGreaterThan(200);
  expect(events.filter(({ time }, place) => events[place + 1]?.time === time).length).toBeGreaterThan(300);
});

test("a day has every kind of event, and every kind of reference to an unknown id", () => {
  const events = day(20_000);
  const members = events.map(({ record }) => JSON.parse(record.toString()) as Record<string, unknown>);
  expect(new Set(members.map((event) => event["event_type"]))).toEqual(new Set(MINING_KINDS.map(({ type }) => type)));
  expect(members.filter((event) => !("actor_tenant_id" in event)).length).toBeGreaterThan(400);
  for (const group of GROUPS) {
    const ids = events.flatMap(({ references }) => references[group]);
    expect(ids.filter((id) => rowOf(group, id) === undefined).length, group).toBeGreaterThan(30);
    expect(ids.filter((id) => rowOf(group, id) !== undefined).length, group).toBeGreaterThan(300);
  }
  // As in the vendor's example: the id of a dataset among the projects.
  const projects = events.flatMap(({ references }) => references.projects);
  expect(projects.filter((id) => rowOf("datasets", id) !== undefined).length).toBeGreaterThan(50);
  // An id that occurs twice, and an event without any resource.
  expect(members.some(({ tenant_ids: ids }) => new Set(ids as string[]).size < (ids as string[]).length)).toBe(true);
  expect(events.filter((event) => lineOf(event) === event.record).length).toBeGreaterThan(50);
  expect(events.filter((event) => lineOf(event) !== event.record).length).toBeGreaterThan(10_000);
});

test("a day has numbers, names and resources that are easily damaged", () => {
  const text = lines(day(20_000)).join("\n");
  for (const spelling of [
    /"bytes":9007199254740993\d+,"ratio":0\.\d0,"scale":1E\+\d,"offset":-0[,}]/,
    /"quota":\{"limit":9007199254740\d+,"used":\d+\.50\}/,
    /"event_type":"получен_отчёт"/,
    /"query":"\\"audit_events\\":\[\{\}\],/,
    /"title":"[^"]*\\u041f/,
    /"display_name":null/,
    /"display_name":"佐藤|健太/u,
    /🚀/u,
  ]) {
    expect(text).toMatch(spelling);
  }
});

test("a line is the event as it is sent, then its resources by group, in the order of reference, without repeats", () => {
  let checked = 0;
  // Compared together: one expectation for each event takes many times as long.
  const wrong: string[] = [];
  for (const event of day(5_000)) {
    const line = lineOf(event).toString();
    const record = event.record.toString();
    const sent = JSON.parse(record) as Record<string, string[] | string | undefined>;
    const { _resources: resources = {}, ...rest } = JSON.parse(line) as Record<string, unknown>;
    if (!isDeepStrictEqual(rest, sent)) wrong.push(`${line}: not as sent`);
    if (line === record) continue;
    if (!line.startsWith(record.slice(0, -1))) wrong.push(`${line}: does not begin as sent`);
    const found = resources as Record<string, unknown>;
    const names = Object.keys(found);
    if (
      !isDeepStrictEqual(
        names,
        GROUPS.filter((group) => names.includes(group)),
      )
    )
      wrong.push(`${line}: group order`);
    for (const group of GROUPS) {
      const one = group.slice(0, -1);
      const actor = sent[`actor_${one}_id`];
      const named = [actor ?? [], sent[`${one}_ids`] ?? []].flat();
      const rows = [...new Set(named)].flatMap((id) => rowOf(group, id) ?? []);
      const expected = rows.length === 0 ? undefined : rows.map((row) => JSON.parse(row) as unknown);
      const isVerbatim = rows.length === 0 || line.includes(`"${group}":[${rows.join(",")}]`);
      if (!isVerbatim || !isDeepStrictEqual(found[group], expected)) wrong.push(`${line}: ${group}`);
      checked += rows.length;
    }
  }
  expect(wrong).toEqual([]);
  expect(checked).toBeGreaterThan(10_000);
});
