import { SECOND_MS, type EpochMs } from "../time.ts";
import type { Position } from "./timeline.ts";

/** Events that become visible after their time: this share of them, up to so many seconds late. */
export interface Lateness {
  readonly share: number;
  readonly maxSeconds: number;
}

/** Whether a log whose clock shows `now` shows `event` yet. Its id holds at least 14 digits at random, hexadecimal, no dash among them. */
export function isVisible(event: Position, lateness: Lateness | undefined, now: EpochMs): boolean {
  if (lateness === undefined || event.time < now - lateness.maxSeconds * SECOND_MS) return true;
  // Of the id's own bits, so that an event is as late for everyone.
  const isLate = Number.parseInt(event.id.slice(0, 6), 16) / 2 ** 24 < lateness.share;
  const delay = (Number.parseInt(event.id.slice(-8, -2), 16) / 2 ** 24) * lateness.maxSeconds * SECOND_MS;
  return !isLate || event.time + delay <= now;
}
