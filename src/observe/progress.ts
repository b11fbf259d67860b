import { formatDuration, formatInstant, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { formatCount } from "../status/readable.ts";

/** The shortest time between two updates on a terminal, and between two plain lines without one. */
const DRAW_EVERY_MS = 100;
const LINE_EVERY_MS = 10 * SECOND_MS;
const BAR_WIDTH = 24;

export interface Progress {
  /** @param until everything before it is done @param events all events so far */
  update(until: EpochMs, events: number): void;
  /** Leaves the last state on a terminal; writes nothing without one. */
  end(): void;
}

/** Where progress is written, usually stderr. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/**
 * Shows the progress of long work over a span of time: share, instant, events, rate and time left.
 * @param now milliseconds of a monotonic clock
 */
export function progress(span: Span, screen: Screen, now: () => number = () => performance.now()): Progress {
  const startedAt = now();
  const isTerminal = screen.isTTY === true;
  let drawnAt = isTerminal ? -Infinity : startedAt;
  let text = "";

  function draw(): void {
    if (isTerminal) screen.write(`\r${text.slice(0, (screen.columns ?? 80) - 1)}\u001b[K`);
    else screen.write(`${text}\n`);
    drawnAt = now();
  }

  return {
    update(until, events) {
      text = progressLine(span, until, events, now() - startedAt);
      if (now() - drawnAt >= (isTerminal ? DRAW_EVERY_MS : LINE_EVERY_MS)) draw();
    },
    end() {
      if (!isTerminal || text === "") return;
      draw();
      screen.write("\n");
    },
  };
}

/** `[██████░░░░]  42 %  2026-11-01T10:00:00Z  12,345 events  2,400/s  1m20s left` */
export function progressLine({ from, to }: Span, until: EpochMs, events: number, elapsedMs: number): string {
  const share = to === from ? 1 : Math.min(Math.max((until - from) / (to - from), 0), 1);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  // A rate over less than a second is noise.
  const rate = elapsedMs >= SECOND_MS ? `  ${formatCount(Math.round((events * 1000) / elapsedMs))}/s` : "";
  const leftMs = share > 0 ? ((1 - share) / share) * elapsedMs : undefined;
  const left = leftMs === undefined ? "" : `  ${formatDuration(Math.ceil(leftMs / SECOND_MS) * SECOND_MS)} left`;
  const counts = `${formatCount(events)} events${rate}`;
  return `[${bar}] ${percent} %  ${formatInstant(until)}  ${counts}${share === 1 ? "" : left}`;
}
