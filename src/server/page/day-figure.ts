import type { StreamStatus } from "../../status/status-document.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS, type EpochMs, type Span } from "../../time.ts";
import { hourOf, last24Hours } from "../../status/last-days.ts";
import { instantOf, type Cell } from "./day.ts";
import { html, type Html } from "./html.ts";
import { dot, legend, LOOK_WORDS, shape, type Look } from "./look.ts";
import { spanText } from "./words.ts";
import { counted, several, sized } from "../../status/words.ts";

const COLUMNS = DAY_MS / HOUR_MS;
/** From the top: two charts, each under its caption, then the map. In pixels; across, all is in percent. */
const CHARTS = [
  { caption: 11, top: 18, height: 56 },
  { caption: 95, top: 102, height: 32 },
] as const;
const MAP_TOP = 148;
const MAP_HEIGHT = 120;
const HEIGHT = MAP_TOP + MAP_HEIGHT;
/** Of a column; and pixels under a cell. The rest is the space between cells. */
const COLUMN_FILL = 0.93;
const ROW_SPACE = 1;

/** A look and where it is drawn, with what is said to a pointer. */
interface Drawn extends Span {
  readonly look: Look;
  readonly told: string;
}

/**
 * A day on one axis: events and stored bytes over time, and under them the map, a column an hour and a cell a window, from top
 * to bottom within the hour. A hole in the archive is a hole in the map.
 */
export function dayFigure(stream: StreamStatus, all: readonly Cell[], now: EpochMs): Html {
  const day = last24Hours(now);
  const cells = all.filter(({ from, to }) => from < day.to && to > day.from);
  const coming = ahead(stream, now).filter(({ from, to }) => from < to);
  const marked = cells
    .filter(({ kind }) => kind === "gap" || kind === "quarantined")
    .map((cell): Drawn => ({ from: cell.from, to: cell.to, look: cell.kind, told: tell(cell) }));
  const begin = all[0]?.from ?? now;
  const looks = new Set<Look>([...cells.map(({ kind }) => kind), ...coming.map(({ look }) => look)]);
  if (begin > day.from) looks.add("outside");
  const [events, bytes] = [chart(cells, day, "events"), chart(cells, day, "bytes")];
  const captions = [
    events.peak === 0 ? "No events" : `Events, up to ${rateText(events.peak)} a minute`,
    bytes.peak === 0 ? "Nothing stored" : `Stored, up to ${sized(Math.round(bytes.peak))} a minute`,
  ];
  const label = `${stream.stream}, the last 24 hours. ${captions.join(". ")}. ${summaryOf(cells)}.`;
  return html`<svg class="plot" width="100%" height="${HEIGHT}" role="img" aria-label="${label}">
      ${[events, bytes].map(({ path }, index) => {
        const { caption, top, height } = CHARTS[index] ?? CHARTS[0];
        return html`<text y="${caption}">${captions[index]}</text
          ><svg
            y="${top}"
            width="100%"
            height="${height}"
            viewBox="0 0 ${DAY_MS / MINUTE_MS} ${TALL}"
            preserveAspectRatio="none"
          >
            <path class="bars-${index}" d="${path}" /></svg
          ><rect class="base" y="${top + height}" width="100%" height="1" />`;
      })}
      <svg
        y="${MAP_TOP}"
        width="100%"
        height="${MAP_HEIGHT}"
        viewBox="0 0 ${COLUMNS * 100} ${MAP_HEIGHT}"
        preserveAspectRatio="none"
      >
        <path class="c-outside" d="${pathOf([{ from: day.from, to: begin }], day)}" />
        ${(["exported", "late", "empty"] as const).map(
          (look) =>
            html`<path
              class="c-${look}"
              d="${pathOf(
                cells.filter(({ kind }) => kind === look),
                day,
              )}"
            />`,
        )}
      </svg>
      ${dots(cells, day)}${hourHits(stream, day)}${[...marked, ...coming].map((one) => shapes(one, day))}
    </svg>
    ${axis(day)}${legend(looks)}`;
}

/** What is not exported yet: the window at work, and the time that has gone by. */
function ahead({ exportedUntil, running, state }: StreamStatus, now: EpochMs): Drawn[] {
  const until = exportedUntil === null ? undefined : instantOf(exportedUntil);
  const work = running === null || running.kind === "repair" ? undefined : running;
  const working = work && { from: instantOf(work.from), to: instantOf(work.to) };
  const from = working?.to ?? until;
  const look = state === "ok" || state === "starting" ? "waiting" : "overdue";
  const span = from && { from, to: now };
  return [
    ...(working ? [{ ...working, look: "running" as const, told: `${spanText(working)}: ${LOOK_WORDS.running}` }] : []),
    ...(span ? [{ ...span, look, told: `${spanText(span)}: ${LOOK_WORDS[look]}` } as const] : []),
  ];
}

/** Of a chart's drawing: finer than any screen shows. */
const TALL = 200;

/** Bars as wide as a window is long and as tall as its rate, so that the area is the amount. The rate is by the minute. */
function chart(cells: readonly Cell[], day: Span, what: "events" | "bytes"): { path: string; peak: number } {
  const rates = cells.map((cell) => (cell[what] * MINUTE_MS) / (cell.to - cell.from));
  const peak = Math.max(0, ...rates);
  if (peak === 0) return { path: "", peak };
  let path = `M0 ${TALL}`;
  let at = 0;
  for (const [index, { from, to }] of cells.entries()) {
    const [start, end] = [from, to].map((instant) => Math.max(0, Math.round((instant - day.from) / MINUTE_MS))) as [
      number,
      number,
    ];
    if (start > at) path += `V${TALL}H${start}`;
    path += `V${TALL - Math.ceil(((rates[index] ?? 0) / peak) * TALL)}H${end}`;
    at = end;
  }
  return { path: `${path}V${TALL}z`, peak };
}

interface Box {
  /** Counted from the day's first hour. */
  readonly column: number;
  /** In pixels from the top of the map. */
  readonly y: number;
  readonly height: number;
}

/** A span lies in one column or in several. */
function boxesOf(span: Span, day: Span): Box[] {
  const boxes: Box[] = [];
  const last = Math.min(span.to, day.to);
  for (let at = Math.max(span.from, day.from); at < last;) {
    const hour = hourOf(epochMs(at));
    const end = Math.min(last, hour + HOUR_MS);
    const [y, bottom] = [at, end].map((instant) => ((instant - hour) / HOUR_MS) * MAP_HEIGHT) as [number, number];
    const height = Math.max(1, round(bottom - y - ROW_SPACE));
    boxes.push({ column: (hour - day.from) / HOUR_MS, y: round(y), height });
    at = end;
  }
  return boxes;
}

/** The many cells that are told by their hour, in one path. */
function pathOf(spans: readonly Span[], day: Span): string {
  const width = COLUMN_FILL * 100;
  return spans
    .flatMap((span) => boxesOf(span, day))
    .map(({ column, y, height }) => `M${column * 100} ${y}h${width}v${height}h-${width}z`)
    .join("");
}

/** What tells a cell with late arrivals: there may be one in every window. */
function dots(cells: readonly Cell[], day: Span): Html {
  return html`${cells
    .filter(({ kind }) => kind === "late")
    .flatMap((cell) => boxesOf(cell, day))
    .map(({ column, y, height }) => dot(percent(column + COLUMN_FILL / 2), MAP_TOP + y + height / 2))}`;
}

function shapes({ look, told, ...span }: Drawn, day: Span): Html {
  const boxes = boxesOf(span, day).map(({ column, y, height }) => ({
    x: percent(column),
    width: percent(COLUMN_FILL),
    middle: percent(column + COLUMN_FILL / 2),
    y: MAP_TOP + y,
    height,
  }));
  return html`<g><title>${told}</title>${boxes.map((box) => shape(look, box))}</g>`;
}

function rateText(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : counted(Math.round(rate));
}

/** Invisible columns that tell an hour to a pointer. */
function hourHits({ hours }: StreamStatus, day: Span): Html {
  const known = hours.map((hour) => ({ ...hour, from: instantOf(hour.from) })).filter(({ from }) => from >= day.from);
  return html`${known.map((hour) => {
    const span = { from: hour.from, to: epochMs(hour.from + HOUR_MS) };
    const told = `${spanText(span)}: ${tellCounts(hour)}${hour.gapSeconds > 0 ? ", with a gap" : ""}`;
    const x = percent((hour.from - day.from) / HOUR_MS);
    return html`<rect class="hit" x="${x}" width="${percent(1)}" height="${HEIGHT}"><title>${told}</title></rect>`;
  })}`;
}

function tell(cell: Cell): string {
  return `${spanText(cell)}: ${cell.kind === "gap" ? LOOK_WORDS.gap : tellCounts(cell)}`;
}

function tellCounts({ windows, events, late, quarantined, bytes }: Omit<Cell, keyof Span | "kind">): string {
  return [
    several(windows, "window"),
    several(events, "event"),
    ...(late > 0 ? [`${counted(late)} late`] : []),
    ...(quarantined > 0 ? [`${counted(quarantined)} in quarantine`] : []),
    sized(bytes),
  ].join(", ");
}

/** What a map shows, in words. */
export function summaryOf(cells: readonly Cell[]): string {
  if (cells.length === 0) return "Nothing is exported";
  const gaps = cells.filter(({ kind }) => kind === "gap");
  return gaps.length === 0 ? "No gap" : `A gap: ${gaps.slice(0, 3).map(spanText).join(", ")}`;
}

/** The hours under their columns; narrow screens leave some out. */
function axis(day: Span): Html {
  const hours = Array.from({ length: COLUMNS }, (_, index) => (new Date(day.from).getUTCHours() + index) % COLUMNS);
  return html`<div class="hours" aria-hidden="true">
    ${hours.map((hour) => html`<span>${String(hour).padStart(2, "0")}</span>`)}
  </div>`;
}

/** Of the width of a day. */
export function percent(columns: number): string {
  return `${round((columns / COLUMNS) * 100)}%`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
