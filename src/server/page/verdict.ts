import { byNeed, type StatusDocument, type StreamStatus } from "../../status/status-document.ts";
import type { EpochMs } from "../../time.ts";
import { instantOf } from "./day.ts";
import { html, type Html } from "./html.ts";
import { anchorOf, isUnwell, sign, worstState } from "./state.ts";
import { shownTime } from "./words.ts";
import { counted, several } from "../../status/words.ts";

const NAMED_MAX = 5;

/** The answer to "is everything there?". */
export interface Verdict {
  /** Without an instant: it changes only when the answer does. */
  readonly short: string;
  readonly shown: Html;
}

export function verdictOf({ streams, stopping }: StatusDocument, now: EpochMs): Verdict {
  const unwell = streams.filter(isUnwell).sort(byNeed);
  const starting = streams.filter(({ state }) => state === "starting");
  const faults = faultsOf(streams);
  // Only who has asked the source again can say that nothing is missing.
  const isCompared = streams.every(({ completeness }) => completeness === 1);
  const all =
    streams.length === 1
      ? "The stream is"
      : streams.length === 2
        ? "Both streams are"
        : `All ${counted(streams.length)} streams are`;
  const short =
    unwell.length > 0
      ? `${counted(unwell.length)} of ${several(streams.length, "stream")} ${unwell.length === 1 ? "is" : "are"} not well`
      : starting.length > 0
        ? `${several(starting.length, "stream")} ${starting.length === 1 ? "is" : "are"} starting`
        : faults.length > 0
          ? `${all} well, but not everything is there`
          : `${all} well, and ${isCompared ? "everything is there" : "up to date"}`;
  const state = unwell.length === 0 && faults.length > 0 ? "behind" : worstState(streams);
  return {
    short,
    shown: html`<div class="verdict">
      ${sign(state)}
      <h1>${short}</h1>
      <p>
        ${[
          stopping ? html`The worker is stopping. ` : undefined,
          unwell.length > 0 ? html`${named(unwell)} ` : undefined,
          html`${until(streams, now)}
          ${faults.length === 0 ? "No gap is known, and nothing went into quarantine in the last day exported." : faults.join(" ")}`,
        ]}
      </p>
    </div>`,
  };
}

/** Where something is missing although the streams run. */
function faultsOf(streams: readonly StreamStatus[]): string[] {
  const gaps = streams.filter((stream) => stream.gaps.count > 0);
  const quarantined = streams.reduce((sum, { day }) => sum + day.quarantined, 0);
  const incomplete = streams.filter(({ completeness }) => completeness !== null && completeness < 1);
  return [
    ...(gaps.length > 0 ? [`Events are lost: a gap in ${namesOf(gaps)}.`] : []),
    ...(quarantined > 0 ? [`${several(quarantined, "item")} went into quarantine in the last day exported.`] : []),
    ...(incomplete.length > 0 ? [`The source has more than the archive: ${namesOf(incomplete)}.`] : []),
  ];
}

function namesOf(streams: readonly StreamStatus[]): string {
  const names = streams.slice(0, NAMED_MAX).map(({ stream }) => stream);
  return `${names.join(", ")}${streams.length > NAMED_MAX ? ` and ${counted(streams.length - NAMED_MAX)} more` : ""}`;
}

function named(streams: readonly StreamStatus[]): Html {
  return html`${streams
    .slice(0, NAMED_MAX)
    .map(
      (stream, index) =>
        html`${index === 0 ? "" : ", "}<a href="#${anchorOf(stream)}">${stream.stream}</a> is ${stream.state}`,
    )}${streams.length > NAMED_MAX ? ` and ${counted(streams.length - NAMED_MAX)} more are not well` : ""}.`;
}

/** The streams together are where the last of them is. */
function until(streams: readonly StreamStatus[], now: EpochMs): Html {
  const places = streams.map(({ exportedUntil }) => exportedUntil);
  const known = places.filter((place) => place !== null).map(instantOf);
  if (known.length === 0) return html`Nothing is exported yet.`;
  const first = known.reduce((one, other) => (other < one ? other : one));
  const those = known.length < places.length ? "of the streams that have begun, " : "";
  return html`Everything before ${shownTime(first, now)} UTC is
  exported${those === "" ? "" : `, ${those.slice(0, -2)}`}.`;
}
