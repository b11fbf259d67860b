import { hourOf, last24Hours } from "../../status/last-days.ts";
import type { StreamStatus } from "../../status/status-document.ts";
import { formatCount, countOf, formatBytes } from "../../status/readable.ts";
import { DAY_MS, epochMs, HOUR_MS, MINUTE_MS, type EpochMs, type Span } from "../../time.ts";
import { instantOf, worstOf, type Cell, type CellKind } from "./cells.ts";
import { spanText } from "./elements.ts";
import { html, type Html } from "./html.ts";

/* The charts of the page: a stream's last 24 hours in detail, and any day in one row. */

/** The meaning of an area of a chart: committed, being exported, not yet exported, overdue, or before all known windows. */
type Meaning = CellKind | "running" | "waiting" | "overdue" | "outside";

const MEANING_TEXTS: Readonly<Record<Meaning, string>> = {
  exported: "exported",
  empty: "exported, no events",
  late: "exported, with late events",
  quarantined: "exported, with quarantined items",
  gap: "gap: the source had already deleted these events",
  running: "being exported",
  waiting: "not yet exported",
  overdue: "overdue",
  outside: "no data",
};

/** The patterns that areas are filled with, once a page. */
export const PATTERNS: Html = html`<svg class="unseen" width="0" height="0" aria-hidden="true">
  <defs>${pattern("gap", 45)}${pattern("running", -45)}</defs>
</svg>`;

function pattern(meaning: Meaning, angle: number): Html {
  return html`<pattern
    id="p-${meaning}"
    class="p-${meaning}"
    width="5"
    height="5"
    patternUnits="userSpaceOnUse"
    patternTransform="rotate(${angle})"
    ><rect width="5" height="5" /><path d="M1.5 0v5"
  /></pattern>`;
}

const COLUMNS = DAY_MS / HOUR_MS;
/** From the top: two bar charts, each below its caption, then the map. Heights in pixels; widths are in percent. */
const CHARTS = [
  { caption: 11, top: 18, height: 56 },
  { caption: 95, top: 102, height: 32 },
] as const;
const MAP_TOP = 148;
const MAP_HEIGHT = 120;
const HEIGHT = MAP_TOP + MAP_HEIGHT;
/** The space between cells: the part of a column that a cell fills, and pixels below a cell. */
const COLUMN_FILL = 0.93;
const ROW_SPACE = 1;

/** An area with its own tooltip. */
interface Area extends Span {
  readonly meaning: Meaning;
  readonly tooltip: string;
}

/**
 * The last 24 hours: events and stored bytes over time, and below them a map with a column for each hour and a cell for each
 * window, from top to bottom within the hour. A gap in the archive is a gap in the map.
 */
export function dayChart(stream: StreamStatus, all: readonly Cell[], now: EpochMs): Html {
  const day = last24Hours(now);
  const cells = all.filter(({ from, to }) => from < day.to && to > day.from);
  const coming = notExported(stream, now).filter(({ from, to }) => from < to);
  const marked = cells
    .filter(({ kind }) => kind === "gap" || kind === "quarantined")
    .map((cell): Area => ({ from: cell.from, to: cell.to, meaning: cell.kind, tooltip: cellText(cell) }));
  const begin = all[0]?.from ?? now;
  const meanings = new Set<Meaning>([...cells.map(({ kind }) => kind), ...coming.map(({ meaning }) => meaning)]);
  if (begin > day.from) meanings.add("outside");
  const [events, bytes] = [bars(cells, day, "events"), bars(cells, day, "bytes")];
  const captions = [
    events.peak === 0 ? "No events" : `Events, at most ${rateText(events.peak)} per minute`,
    bytes.peak === 0 ? "No stored bytes" : `Stored bytes, at most ${formatBytes(Math.round(bytes.peak))} per minute`,
  ];
  const label = `${stream.stream}, last 24 hours. ${captions.join(". ")}. ${gapsText(cells)}.`;
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
          (meaning) =>
            html`<path
              class="c-${meaning}"
              d="${pathOf(
                cells.filter(({ kind }) => kind === meaning),
                day,
              )}"
            />`,
        )}
      </svg>
      ${dots(cells, day)}${hourTooltips(stream, day)}${[...marked, ...coming].map((area) => areaShapes(area, day))}
    </svg>
    ${axis(day)}${legend(meanings)}`;
}

/** What is not exported yet: the running window, and the time from its end to now. */
function notExported({ exportedUntil, running, state }: StreamStatus, now: EpochMs): Area[] {
  const until = exportedUntil === null ? undefined : instantOf(exportedUntil);
  const inWork =
    running === null || running.kind === "repair"
      ? undefined
      : { from: instantOf(running.from), to: instantOf(running.to) };
  const from = inWork?.to ?? until;
  const area = (span: Span, meaning: Meaning): Area => ({
    ...span,
    meaning,
    tooltip: `${spanText(span)}: ${MEANING_TEXTS[meaning]}`,
  });
  const isOnTime = state === "ok" || state === "starting";
  return [
    ...(inWork ? [area(inWork, "running")] : []),
    ...(from ? [area({ from, to: now }, isOnTime ? "waiting" : "overdue")] : []),
  ];
}

/** The height of a bar chart in its own units: finer than any screen shows. */
const TALL = 200;

/** Bars as wide as a window is long and as tall as its rate per minute, so that the area of a bar is the amount. */
function bars(cells: readonly Cell[], day: Span, what: "events" | "bytes"): { path: string; peak: number } {
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

interface ColumnBox {
  /** 0 is the first hour. */
  readonly column: number;
  /** Pixels from the top of the map. */
  readonly y: number;
  readonly height: number;
}

/** The boxes that a span covers: one in each column. */
function boxesOf(span: Span, day: Span): ColumnBox[] {
  const boxes: ColumnBox[] = [];
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

/** All these spans in one path: there are many. Their tooltips are those of their hours. */
function pathOf(spans: readonly Span[], day: Span): string {
  const width = COLUMN_FILL * 100;
  return spans
    .flatMap((span) => boxesOf(span, day))
    .map(({ column, y, height }) => `M${column * 100} ${y}h${width}v${height}h-${width}z`)
    .join("");
}

/** The marks of cells with late events. */
function dots(cells: readonly Cell[], day: Span): Html {
  return html`${cells
    .filter(({ kind }) => kind === "late")
    .flatMap((cell) => boxesOf(cell, day))
    .map(({ column, y, height }) => dot(percent(column + COLUMN_FILL / 2), MAP_TOP + y + height / 2))}`;
}

function areaShapes({ meaning, tooltip, ...span }: Area, day: Span): Html {
  const boxes = boxesOf(span, day).map(({ column, y, height }) => ({
    x: percent(column),
    width: percent(COLUMN_FILL),
    middle: percent(column + COLUMN_FILL / 2),
    y: MAP_TOP + y,
    height,
  }));
  return html`<g><title>${tooltip}</title>${boxes.map((box) => shape(meaning, box))}</g>`;
}

function rateText(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate));
}

/** Invisible columns with the tooltips of the hours. */
function hourTooltips({ hours }: StreamStatus, day: Span): Html {
  const known = hours.map((hour) => ({ ...hour, from: instantOf(hour.from) })).filter(({ from }) => from >= day.from);
  return html`${known.map((hour) => {
    const span = { from: hour.from, to: epochMs(hour.from + HOUR_MS) };
    const tooltip = `${spanText(span)}: ${countsText(hour)}${hour.gapSeconds > 0 ? ", with a gap" : ""}`;
    const x = percent((hour.from - day.from) / HOUR_MS);
    return html`<rect class="hit" x="${x}" width="${percent(1)}" height="${HEIGHT}"><title>${tooltip}</title></rect>`;
  })}`;
}

function cellText(cell: Cell): string {
  return `${spanText(cell)}: ${cell.kind === "gap" ? MEANING_TEXTS.gap : countsText(cell)}`;
}

function countsText({ windows, events, late, quarantined, bytes }: Omit<Cell, keyof Span | "kind">): string {
  return [
    countOf(windows, "window"),
    countOf(events, "event"),
    ...(late > 0 ? [`${formatCount(late)} late`] : []),
    ...(quarantined > 0 ? [`${formatCount(quarantined)} quarantined`] : []),
    formatBytes(bytes),
  ].join(", ");
}

/** What a chart shows, for those who cannot see it. */
function gapsText(cells: readonly Cell[]): string {
  if (cells.length === 0) return "Nothing exported";
  const gaps = cells.filter(({ kind }) => kind === "gap");
  return gaps.length === 0 ? "No gaps" : `Gaps: ${gaps.slice(0, 3).map(spanText).join(", ")}`;
}

/** The hours below their columns. Narrow screens hide some of them. */
function axis(day: Span): Html {
  const hours = Array.from({ length: COLUMNS }, (_, index) => (new Date(day.from).getUTCHours() + index) % COLUMNS);
  return html`<div class="hours" aria-hidden="true">
    ${hours.map((hour) => html`<span>${String(hour).padStart(2, "0")}</span>`)}
  </div>`;
}

/** The part of an hour's place in a row that its cell fills. */
const ROW_FILL = 0.9;

/** A day in one row, with a cell for each hour. Late events are exported events here. */
export function rowChart(cells: readonly Cell[], day: Span, height: number, label: string): Html {
  const ofDay = cells.filter(({ from, to }) => from < day.to && to > day.from);
  const kinds = hourKinds(ofDay, day);
  const path = (meaning: CellKind): string =>
    kinds
      .map((kind, column) => (kind === meaning ? `M${column * 10} 0h${ROW_FILL * 10}v1h-${ROW_FILL * 10}z` : ""))
      .join("");
  return html`<svg width="100%" height="${height}" role="img" aria-label="${`${label}: ${gapsText(ofDay)}`}">
    <svg viewBox="0 0 ${COLUMNS * 10} 1" preserveAspectRatio="none" width="100%" height="${height}">
      <path class="c-exported" d="${path("exported")}" />
      <path class="c-empty" d="${path("empty")}" /></svg
    >${kinds.map((kind, column) => {
      if (kind !== "gap" && kind !== "quarantined") return undefined;
      const x = percent(column);
      return shape(kind, { x, width: percent(ROW_FILL), middle: percent(column + ROW_FILL / 2), y: 0, height });
    })}
  </svg>`;
}

/** The worst kind of each hour; undefined where nothing is known. */
function hourKinds(cells: readonly Cell[], day: Span): (CellKind | undefined)[] {
  const kinds = Array.from({ length: COLUMNS }, (): CellKind | undefined => undefined);
  for (const { from, to, kind } of cells) {
    const last = Math.min(COLUMNS, Math.ceil((to - day.from) / HOUR_MS));
    for (let column = Math.max(0, Math.floor((from - day.from) / HOUR_MS)); column < last; column++) {
      kinds[column] = worstOf([kinds[column] ?? "empty", kind === "late" ? "exported" : kind]);
    }
  }
  return kinds;
}

interface ShapeBox {
  /** SVG lengths: percent or pixels. */
  readonly x: string;
  readonly width: string;
  /** The horizontal centre. */
  readonly middle: string;
  readonly y: number;
  readonly height: number;
}

/** One cell. Its form shows its meaning too, not only its colour. */
function shape(meaning: Meaning, { x, width, middle, y, height }: ShapeBox): Html {
  const place = html`x="${x}" y="${y}" width="${width}" height="${height}"`;
  const center = Math.round((y + height / 2) * 10) / 10;
  switch (meaning) {
    case "gap":
    case "running":
      return html`<rect class="c-${meaning}" fill="url(#p-${meaning})" ${place} />`;
    case "late":
      return html`<rect class="c-late" ${place} />${dot(middle, center)}`;
    case "quarantined":
      return html`<rect class="c-quarantined" ${place} /><text class="mark" x="${middle}" y="${center + 3.5}">!</text>`;
    default:
      return html`<rect class="c-${meaning}" ${place} />`;
  }
}

function dot(x: string, y: number): Html {
  return html`<circle class="dot" cx="${x}" cy="${Math.round(y * 10) / 10}" r="2.2" />`;
}

function legend(meanings: ReadonlySet<Meaning>): Html {
  const shown = (Object.keys(MEANING_TEXTS) as Meaning[]).filter((meaning) => meanings.has(meaning));
  const box = { x: "0.5", width: "15", middle: "8", y: 0.5, height: 9 };
  return html`<ul class="legend">
    ${shown.map(
      (meaning) =>
        html`<li>
          <svg width="16" height="10" aria-hidden="true">${shape(meaning, box)}</svg>${MEANING_TEXTS[meaning]}
        </li>`,
    )}
  </ul>`;
}

/** Columns as a share of a day's width. */
function percent(columns: number): string {
  return `${round((columns / COLUMNS) * 100)}%`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
