import type { HourStatus, StreamStatus, WindowStatus } from "../../status/status-document.ts";
import { hourOf } from "../../status/last-days.ts";
import { epochMs, HOUR_MS, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../../time.ts";

/** What a cell of a chart shows, the worst first. */
export const CELL_KINDS = ["gap", "quarantined", "late", "exported", "empty"] as const;
export type CellKind = (typeof CELL_KINDS)[number];

/** What was committed for a span of time: one window, or several that are too many or too small to show one by one. */
export interface Cell extends Span, Counts {
  readonly kind: CellKind;
}

/** A stream, and what was committed of it, by time. */
export interface StreamWithCells {
  readonly stream: StreamStatus;
  readonly cells: readonly Cell[];
}

interface Counts {
  readonly windows: number;
  readonly events: number;
  readonly late: number;
  readonly quarantined: number;
  /** As stored. */
  readonly bytes: number;
}

/** The least time of a cell, a twelfth of an hour: smaller cells are too small to point at. */
const SLOT_MS = 5 * MINUTE_MS;

/** Parses an instant of the status document. */
export function instantOf(text: string): EpochMs {
  return epochMs(Date.parse(text));
}

/** The worst of these kinds; `empty` when there are none. */
export function worstOf(kinds: readonly CellKind[]): CellKind {
  return CELL_KINDS.find((kind) => kinds.includes(kind)) ?? "empty";
}

/**
 * What is committed, by time: the single windows of the document, and its hours for the time before them. Windows smaller than
 * a slot are combined. A repair is left out: it adds to a time that other windows cover.
 */
export function cellsOf({ windows, hours }: Pick<StreamStatus, "windows" | "hours">): Cell[] {
  const single = windows
    .filter(({ kind }) => kind !== "repair")
    .flatMap(windowCells)
    .sort((one, other) => one.from - other.from);
  const first = single[0]?.from ?? epochMs(Infinity);
  const older = hours
    .filter(({ from }) => instantOf(from) < first)
    .flatMap((hour) => hourCells(withoutSingle(hour, windows, first), first));
  const cells: Cell[] = [];
  for (const cell of [...older, ...single]) {
    const before = cells.at(-1);
    const isOneSlot = before !== undefined && isSmall(before) && isSmall(cell) && slotOf(before) === slotOf(cell);
    if (isOneSlot) cells[cells.length - 1] = combined(before, cell);
    else cells.push(cell);
  }
  return cells;
}

const isSmall = ({ from, to }: Span): boolean => to - from < SLOT_MS;
const slotOf = ({ from }: Span): number => Math.floor(from / SLOT_MS);

function windowCells({ kind, from, to, missing, events, late, quarantined, bytes }: WindowStatus): Cell[] {
  const span = { from: instantOf(from), to: instantOf(to) };
  if (kind === "gap") return [gap(span)];
  const counts = { windows: 1, events, late, quarantined, bytes };
  if (missing === undefined) return [cell(span, counts)];
  // A source deletes the oldest events first.
  const kept = instantOf(missing.to);
  return [gap({ from: span.from, to: kept }), ...(kept < span.to ? [cell({ from: kept, to: span.to }, counts)] : [])];
}

/** An hour without the windows that are shown one by one (`first` is the start of the first one), and without repairs. */
function withoutSingle(hour: HourStatus, windows: readonly WindowStatus[], first: EpochMs): HourStatus {
  const from = instantOf(hour.from);
  let rest = hour;
  for (const window of windows) {
    if (window.kind !== "repair" && from + HOUR_MS <= first) continue;
    const start = instantOf(window.from);
    if (hourOf(start) !== from) continue;
    const seconds = (Math.min(instantOf(window.to), from + HOUR_MS) - start) / SECOND_MS;
    rest = {
      ...rest,
      windows: rest.windows - 1,
      events: rest.events - window.events,
      late: rest.late - window.late,
      quarantined: rest.quarantined - window.quarantined,
      bytes: rest.bytes - window.bytes,
      exportedSeconds: rest.exportedSeconds - (window.kind === "window" ? seconds : 0),
      gapSeconds: rest.gapSeconds - (window.kind === "gap" ? seconds : 0),
    };
  }
  return rest;
}

/** An hour may begin before the stream does. In it, the gap comes first: a source deletes the oldest events first. */
function hourCells(hour: HourStatus, first: EpochMs): Cell[] {
  const { windows, events, late, quarantined, bytes, exportedSeconds, gapSeconds } = hour;
  const begin = instantOf(hour.from);
  const isWhole = exportedSeconds + gapSeconds >= HOUR_MS / SECOND_MS;
  const to = epochMs(Math.min(begin + HOUR_MS, first));
  const from = isWhole ? begin : epochMs(Math.max(begin, to - (exportedSeconds + gapSeconds) * SECOND_MS));
  const kept = epochMs(Math.min(to, from + gapSeconds * SECOND_MS));
  return [
    ...(from < kept ? [gap({ from, to: kept })] : []),
    ...(kept < to ? [cell({ from: kept, to }, { windows, events, late, quarantined, bytes })] : []),
  ];
}

function gap({ from, to }: Span): Cell {
  return { from, to, kind: "gap", windows: 0, events: 0, late: 0, quarantined: 0, bytes: 0 };
}

// Not with spread: that takes twenty times as long, and a stream has hundreds of cells.
function cell({ from, to }: Span, counts: Counts): Cell {
  const { windows, events, late, quarantined, bytes } = counts;
  return { from, to, kind: kindOf(counts), windows, events, late, quarantined, bytes };
}

function kindOf({ events, late, quarantined }: Counts): CellKind {
  if (quarantined > 0) return "quarantined";
  if (late > 0) return "late";
  return events > 0 ? "exported" : "empty";
}

function combined(one: Cell, next: Cell): Cell {
  return {
    from: one.from,
    to: next.to,
    kind: worstOf([one.kind, next.kind]),
    windows: one.windows + next.windows,
    events: one.events + next.events,
    late: one.late + next.late,
    quarantined: one.quarantined + next.quarantined,
    bytes: one.bytes + next.bytes,
  };
}
