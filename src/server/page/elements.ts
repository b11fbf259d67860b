import { WORST_FIRST, type StreamState, type StreamStatus } from "../../status/status-document.ts";
import { formatInstant, type EpochMs, type Span } from "../../time.ts";
import { html, type Html } from "./html.ts";

/* Small elements and texts that several sections of the page use. */

/** Each state has a word and a sign, because colours alone are not readable for everyone. */
const SIGNS: Readonly<Record<StreamState, string>> = {
  stopped: "■",
  failing: "✕",
  behind: "!",
  starting: "…",
  ok: "✓",
};

/** The worst state of these streams; `ok` when there are none. */
export function worstState(streams: readonly StreamStatus[]): StreamState {
  return WORST_FIRST.find((state) => streams.some((stream) => stream.state === state)) ?? "ok";
}

export function signOf(state: StreamState): string {
  return SIGNS[state];
}

export function signElement(state: StreamState): Html {
  return html`<span class="glyph is-${state}" aria-hidden="true">${SIGNS[state]}</span>`;
}

/** The sign and the word of a state. */
export function stateElement(state: StreamState): Html {
  return html`<span class="state is-${state}">${signElement(state)}${state}</span>`;
}

/** The id of a stream's section. */
export function anchorOf({ stream }: StreamStatus): string {
  return `stream-${stream}`;
}

/** Red text for a value that needs attention. */
export function alertIf(isAlert: boolean, text: string): Html {
  return isAlert ? html`<span class="alarming">${text}</span>` : html`${text}`;
}

/** The text of `timeText` in an element that holds the whole instant. */
export function timeElement(instant: EpochMs, now: EpochMs): Html {
  return html`<time datetime="${formatInstant(instant)}" title="${formatInstant(instant)}"
    >${timeText(instant, now)}</time
  >`;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** UTC: `10:40:00` for today, `20 Nov 10:40:00` for another day, `20 Nov 2025 10:40:00` for another year. */
export function timeText(instant: EpochMs, now: EpochMs): string {
  const text = new Date(instant).toISOString();
  const today = new Date(now).toISOString();
  const time = text.slice(11, 19);
  if (text.slice(0, 10) === today.slice(0, 10)) return time;
  const date = new Date(instant);
  const year = text.slice(0, 4) === today.slice(0, 4) ? "" : ` ${text.slice(0, 4)}`;
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ""}${year} ${time}`;
}

/** `10:05–10:10 UTC` */
export function spanText({ from, to }: Span): string {
  const [start, end] = [from, to].map((instant) => {
    const text = new Date(instant).toISOString();
    return text.slice(11, text.slice(17, 19) === "00" ? 16 : 19);
  });
  return `${start ?? ""}–${end ?? ""} UTC`;
}

/** `Fri 20 Nov` */
export function dayText(instant: EpochMs): string {
  const date = new Date(instant);
  return `${DAYS[date.getUTCDay()] ?? ""} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()] ?? ""}`;
}
