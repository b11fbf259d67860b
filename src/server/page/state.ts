import { WORST_FIRST, type StreamState, type StreamStatus } from "../../status/status-document.ts";
import { html, type Html } from "./html.ts";

/** A state is told by its word and its sign, never by its colour alone. */
const SIGNS: Readonly<Record<StreamState, string>> = {
  stopped: "■",
  failing: "✕",
  behind: "!",
  starting: "…",
  ok: "✓",
};

/** The state in which all together are: that of the worst. */
export function worstState(streams: readonly StreamStatus[]): StreamState {
  return WORST_FIRST.find((state) => streams.some((stream) => stream.state === state)) ?? "ok";
}

/** True when somebody should look. */
export function isUnwell({ state }: StreamStatus): boolean {
  return state !== "ok" && state !== "starting";
}

export function signOf(state: StreamState): string {
  return SIGNS[state];
}

export function sign(state: StreamState): Html {
  return html`<span class="glyph is-${state}" aria-hidden="true">${SIGNS[state]}</span>`;
}

/** The state in one word. */
export function shownState(state: StreamState): Html {
  return html`<span class="state is-${state}">${sign(state)}${state}</span>`;
}

/** Where a stream is told in full on this page. */
export function anchorOf({ stream }: StreamStatus): string {
  return `stream-${stream}`;
}
