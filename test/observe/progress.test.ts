import { expect, test } from "vitest";
import { progress, progressLine } from "../../src/observe/progress.ts";
import { epochMs, HOUR_MS } from "../../src/time.ts";
import { START } from "../support/world.ts";

const span = { from: START, to: epochMs(START + 2 * HOUR_MS) };
const middle = epochMs(START + HOUR_MS);
/** Erases the rest of the line on a terminal. */
const ERASE = "\u001b[K";

function screenOf(isTTY: boolean, columns = 200) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

test("a line has the share, the instant, the events, the rate and the time left", () => {
  expect(progressLine(span, middle, 12_345, 5000)).toBe(
    `[${"█".repeat(12)}${"░".repeat(12)}]  50 %  2026-11-01T01:00:00Z  12,345 events  2,469/s  5s left`,
  );
});

test("there is no time left at the start and at the end, and the share stays between 0 and 100 %", () => {
  expect(progressLine(span, span.from, 0, 0)).toMatch(/ 0 % .* 0 events$/);
  expect(progressLine(span, span.to, 10, 1000)).toMatch(/100 % .* 10 events {2}10\/s$/);
  expect(progressLine(span, epochMs(span.to + HOUR_MS), 10, 1000)).toContain("100 %");
  expect(progressLine({ from: START, to: START }, START, 0, 0)).toContain("100 %");
});

test("on a terminal the line is redrawn at most ten times a second, and the last one stays", () => {
  const screen = screenOf(true);
  let nowMs = 0;
  const bar = progress(span, screen, () => nowMs);
  for (; nowMs < 1000; nowMs += 10) bar.update(epochMs(START + nowMs), nowMs);
  expect(screen.written).toHaveLength(10);
  bar.update(span.to, 5000);
  bar.end();
  const last = screen.written.at(-2) ?? "";
  expect(last).toMatch(/^\r\[█+\] 100 %.*5,000 events/);
  expect(last.endsWith(ERASE)).toBe(true);
  expect(screen.written.at(-1)).toBe("\n");
});

test("the line fits a narrow terminal", () => {
  const screen = screenOf(true, 40);
  progress(span, screen, () => 0).update(middle, 1);
  expect(screen.written[0]?.replace("\r", "").replace(ERASE, "")).toHaveLength(39);
});

test("without a terminal it is a plain line every ten seconds, and nothing for short work", () => {
  const screen = screenOf(false);
  let nowMs = 0;
  const bar = progress(span, screen, () => nowMs);
  for (; nowMs <= 25_000; nowMs += 500) bar.update(middle, nowMs);
  bar.end();
  expect(screen.written).toHaveLength(2);
  for (const line of screen.written) expect(line).toMatch(/^\[.*left\n$/);
});

test("without an update nothing is written", () => {
  const screen = screenOf(true);
  progress(span, screen, () => 0).end();
  expect(screen.written).toEqual([]);
});
