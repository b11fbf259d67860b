import { html, type Html } from "./html.ts";
import { formatInstant, type EpochMs, type Span } from "../../time.ts";

/** `10:40:00` of today, `20 Nov 10:40:00` of another day, both UTC; the whole instant is in the element. */
export function shownTime(instant: EpochMs, now: EpochMs): Html {
  return html`<time datetime="${formatInstant(instant)}" title="${formatInstant(instant)}"
    >${clock(instant, now)}</time
  >`;
}

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function clock(instant: EpochMs, now: EpochMs): string {
  const text = new Date(instant).toISOString();
  const time = text.slice(11, 19);
  if (text.slice(0, 10) === new Date(now).toISOString().slice(0, 10)) return time;
  const date = new Date(instant);
  const year = text.slice(0, 4) === new Date(now).toISOString().slice(0, 4) ? "" : ` ${text.slice(0, 4)}`;
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
