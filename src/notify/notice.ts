import type { StreamStatus } from "../document.ts";
import { MINUTE_MS, type EpochMs } from "../time.ts";

/** Something that a person is to be told of one stream. */
export interface Notice {
  readonly kind: "unhealthy" | "recovered" | "gap" | "quarantine";
  readonly stream: string;
  readonly time: EpochMs;
  /** One or two sentences that say all of it. */
  readonly text: string;
  readonly hint: string | null;
  readonly code: string | null;
  readonly exportedUntil: string | null;
  readonly lagSeconds: number | null;
}

/** What was told of one stream, and what is being waited for. */
export interface Watched {
  readonly isTold: "well" | "unwell";
  readonly unhealthyAt: EpochMs | undefined;
  /** Since when it is behind, and how far it was then. */
  readonly behind: { readonly since: EpochMs; readonly lagSeconds: number } | undefined;
  readonly gaps: Told;
  readonly quarantined: Told;
}

interface Told {
  readonly count: number;
  readonly at: EpochMs | undefined;
}

export const NOTHING_TOLD: Watched = {
  isTold: "well",
  unhealthyAt: undefined,
  behind: undefined,
  gaps: { count: 0, at: undefined },
  quarantined: { count: 0, at: undefined },
};

/** Failures that may pass by themselves are told with the fourth failed tick in a row, as they become errors in the log. */
const TICKS_BORNE = 3;
const MAY_PASS = new Set(["timeout", "network", "rate_limited", "unavailable"]);

/** A stream that is behind, and has not come nearer in this time, is not catching up. */
const COMES_NEARER_WITHIN_MS = 10 * MINUTE_MS;

/** The same again is told after this at the earliest, all that came meanwhile together. */
const AGAIN_AFTER_MS = 10 * MINUTE_MS;

/** What there is to tell at `now`, given what was told. Looked at after each tick, and every few seconds. */
export function noticesOf(
  watched: Watched,
  status: StreamStatus,
  now: EpochMs,
): { readonly watched: Watched; readonly notices: readonly Notice[] } {
  const notices: Notice[] = [];
  const tell = (kind: Notice["kind"], text: string, hint: string | null): void => {
    const { stream, exportedUntil, lagSeconds, failure } = status;
    notices.push({ kind, stream, time: now, text, hint, code: failure?.code ?? null, exportedUntil, lagSeconds });
  };
  const behind = behindSince(watched.behind, status, now);
  let next: Watched = { ...watched, behind };

  if (isUnwell(status, behind, now)) {
    if (watched.isTold === "well" && isDue(watched.unhealthyAt, now)) {
      tell("unhealthy", `${status.stream} is ${status.state}: ${status.why ?? ""}`, status.hint);
      next = { ...next, isTold: "unwell", unhealthyAt: now };
    }
  } else if (status.state === "ok" && watched.isTold === "unwell") {
    tell("recovered", `${status.stream} is well again: exported until ${status.exportedUntil ?? "its start"}`, null);
    next = { ...next, isTold: "well" };
  }

  const { gaps, quarantined } = status.totals;
  if (gaps > watched.gaps.count && isDue(watched.gaps.at, now)) {
    tell("gap", gapText(status, gaps - watched.gaps.count), "the source has forgotten them; ask its vendor for them");
    next = { ...next, gaps: { count: gaps, at: now } };
  }
  if (quarantined > watched.quarantined.count && isDue(watched.quarantined.at, now)) {
    const count = quarantined - watched.quarantined.count;
    const items = `${count} ${count === 1 ? "item" : "items"}`;
    tell("quarantine", `${status.stream}: ${items} could not be exported and lie in quarantine`, LIST_HINT);
    next = { ...next, quarantined: { count: quarantined, at: now } };
  }
  return { watched: next, notices };
}

const LIST_HINT = "siem-export quarantine list shows them, with the reasons";

function isDue(at: EpochMs | undefined, now: EpochMs): boolean {
  return at === undefined || now - at >= AGAIN_AFTER_MS;
}

function isUnwell({ state, failure, failedTicks, lagSeconds }: StreamStatus, behind: Watched["behind"], now: EpochMs) {
  switch (state) {
    case "stopped":
      return true;
    case "failing":
      return failedTicks > TICKS_BORNE || !MAY_PASS.has(failure?.code ?? "");
    case "behind":
      if (behind === undefined || now - behind.since < COMES_NEARER_WITHIN_MS) return false;
      return (lagSeconds ?? 0) >= behind.lagSeconds;
    default:
      return false;
  }
}

/** A stream that came nearer since is measured anew from there: it may stop to. */
function behindSince(behind: Watched["behind"], { state, lagSeconds }: StreamStatus, now: EpochMs): Watched["behind"] {
  if (state !== "behind" || lagSeconds === null) return undefined;
  return behind === undefined || lagSeconds < behind.lagSeconds ? { since: now, lagSeconds } : behind;
}

function gapText({ stream, windows }: StreamStatus, count: number): string {
  const last = windows.findLast(({ kind, missing }) => kind === "gap" || missing !== undefined);
  const span = last?.missing ?? last;
  const where = span === undefined ? "" : ` (the newest: ${span.from} to ${span.to})`;
  const spans = count === 1 ? "a span of time is" : `${count} spans of time are`;
  return `${stream}: ${spans} lost, for the source does not keep those events any more${where}`;
}
