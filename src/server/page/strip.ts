import { DAY_MS, epochMs, HOUR_MS, type EpochMs, type Span } from "../../time.ts";
import { worstOf, type Cell, type CellKind } from "./day.ts";
import { percent, summaryOf } from "./day-figure.ts";
import { html, type Html } from "./html.ts";
import { shape } from "./look.ts";

const COLUMNS = DAY_MS / HOUR_MS;
const FILL = 0.9;

/** A day in one row, a cell an hour. Late arrivals are exported, and are not told apart here. */
export function strip(cells: readonly Cell[], day: Span, height: number, label: string): Html {
  const within = cells.filter(({ from, to }) => from < day.to && to > day.from);
  const kinds = hourKinds(within, day);
  const path = (look: CellKind): string =>
    kinds.map((kind, column) => (kind === look ? `M${column * 10} 0h${FILL * 10}v1h-${FILL * 10}z` : "")).join("");
  return html`<svg width="100%" height="${height}" role="img" aria-label="${`${label}: ${summaryOf(within)}`}">
    <svg viewBox="0 0 ${COLUMNS * 10} 1" preserveAspectRatio="none" width="100%" height="${height}">
      <path class="c-exported" d="${path("exported")}" />
      <path class="c-empty" d="${path("empty")}" /></svg
    >${kinds.map((kind, column) => {
      if (kind !== "gap" && kind !== "quarantined") return undefined;
      const x = percent(column);
      return shape(kind, { x, width: percent(FILL), middle: percent(column + FILL / 2), y: 0, height });
    })}
  </svg>`;
}

/** The worst of each hour; undefined where nothing is known. */
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

/** The days from midnight to midnight of which something is known, the newest first: at most seven, and that of `now`. */
export function weekOf(cells: readonly Cell[], now: EpochMs): Span[] {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const first = cells[0]?.from ?? now;
  return Array.from({ length: 8 }, (_, index) => {
    const from = epochMs(today - index * DAY_MS);
    return { from, to: epochMs(from + DAY_MS) };
  }).filter(({ to }, index) => index === 0 || to > first);
}
