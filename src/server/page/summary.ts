import { byUrgency, type StatusDocument, type StreamState, type StreamStatus } from "../../status/status-document.ts";
import { formatCount, countOf } from "../../status/readable.ts";
import type { EpochMs } from "../../time.ts";
import { instantOf } from "./cells.ts";
import { anchorOf, signElement, timeElement, worstState } from "./elements.ts";
import { html, type Html } from "./html.ts";

/** Names listed in one sentence; of more streams only the number is given. */
const NAMES_MAX = 5;

/** The answer to "is everything there?". */
export interface Summary {
  /** One sentence without a time, so that it changes only when the answer changes. */
  readonly sentence: string;
  /** The sentence and its details. */
  readonly element: Html;
}

export function summaryOf({ streams, stopping }: StatusDocument, now: EpochMs): Summary {
  const unhealthy = streams.filter(isUnhealthy).sort(byUrgency);
  const losses = lossesOf(streams);
  const sentence = sentenceOf(streams, unhealthy.length, losses.length > 0);
  const state = unhealthy.length === 0 && losses.length > 0 ? "behind" : worstState(streams);
  return {
    sentence,
    element: html`<div class="verdict">
      ${signElement(state)}
      <h1>${sentence}</h1>
      <p>
        ${[
          stopping ? html`The worker is stopping. ` : undefined,
          unhealthy.length > 0 ? html`${statesOf(unhealthy)} ` : undefined,
          html`${exportedUntil(streams, now)}
          ${losses.length === 0 ? "No gaps are known, and nothing was quarantined in the last exported day." : losses.join(" ")}`,
        ]}
      </p>
    </div>`,
  };
}

const isUnhealthy = ({ state }: { readonly state: StreamState }): boolean => state !== "ok" && state !== "starting";

function sentenceOf(streams: readonly StreamStatus[], unhealthy: number, isIncomplete: boolean): string {
  if (unhealthy > 0) {
    return `${formatCount(unhealthy)} of ${countOf(streams.length, "stream")} ${unhealthy === 1 ? "needs" : "need"} attention`;
  }
  const starting = streams.filter(({ state }) => state === "starting").length;
  if (starting > 0) return `${countOf(starting, "stream")} ${starting === 1 ? "is" : "are"} starting`;
  const all =
    streams.length === 1
      ? "The stream is"
      : streams.length === 2
        ? "Both streams are"
        : `All ${formatCount(streams.length)} streams are`;
  if (isIncomplete) return `${all} healthy, but the archive is incomplete`;
  // Only a comparison with the source can show that nothing is missing.
  const isCompared = streams.every(({ completeness }) => completeness === 1);
  return isCompared ? `${all} healthy, and the archive is complete` : `${all} healthy and up to date`;
}

/** What is missing in the archive, a sentence each, whatever the states of the streams are. */
function lossesOf(streams: readonly StreamStatus[]): string[] {
  const gaps = streams.filter((stream) => stream.gaps.count > 0);
  const quarantined = streams.reduce((sum, { day }) => sum + day.quarantined, 0);
  const incomplete = streams.filter(({ completeness }) => completeness !== null && completeness < 1);
  return [
    ...(gaps.length > 0 ? [`Events are lost: there are gaps in ${namesOf(gaps)}.`] : []),
    ...(quarantined > 0
      ? [`${countOf(quarantined, "item")} ${quarantined === 1 ? "was" : "were"} quarantined in the last exported day.`]
      : []),
    ...(incomplete.length > 0 ? [`The source has events that the archive does not have: ${namesOf(incomplete)}.`] : []),
  ];
}

function namesOf(streams: readonly StreamStatus[]): string {
  const names = streams.slice(0, NAMES_MAX).map(({ stream }) => stream);
  return `${names.join(", ")}${streams.length > NAMES_MAX ? ` and ${formatCount(streams.length - NAMES_MAX)} more` : ""}`;
}

function statesOf(streams: readonly StreamStatus[]): Html {
  const more = streams.length - NAMES_MAX;
  return html`${streams
    .slice(0, NAMES_MAX)
    .map(
      (stream, index) =>
        html`${index === 0 ? "" : ", "}<a href="#${anchorOf(stream)}">${stream.stream}</a> is ${stream.state}`,
    )}${more > 0 ? ` and ${formatCount(more)} more ${more === 1 ? "needs" : "need"} attention` : ""}.`;
}

/** The time before which every stream has exported everything: that of the stream that is furthest behind. */
function exportedUntil(streams: readonly StreamStatus[], now: EpochMs): Html {
  const known = streams.flatMap((stream) => (stream.exportedUntil === null ? [] : instantOf(stream.exportedUntil)));
  if (known.length === 0) return html`Nothing is exported yet.`;
  const first = known.reduce((one, other) => (other < one ? other : one));
  const begun = known.length < streams.length ? ", except by streams that have exported nothing yet" : "";
  return html`Everything before ${timeElement(first, now)} UTC is exported${begun}.`;
}
