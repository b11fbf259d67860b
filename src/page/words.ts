import { html, type Html } from "./html.ts";
import { formatInstant, type EpochMs, type Span } from "../time.ts";

const NUMBERS = new Intl.NumberFormat("en");
/** What a piece of text without a value shows. */
export const NOTHING = "–";

/** `12,345` */
export function counted(count: number): string {
  return NUMBERS.format(count);
}

/** `1 window`, `12,345 windows` */
export function several(count: number, noun: string): string {
  return `${counted(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `100 %`, and never rounded up to it. */
export function shareText(share: number): string {
  return share === 1 ? "100 %" : `${(Math.floor(share * 100_000) / 1000).toFixed(3)} %`;
}

/** `512 B`, `41.3 KiB` */
export function sized(bytes: number): string {
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (amount < 1024) return `${unit === "B" ? amount : amount.toFixed(amount < 10 ? 1 : 0)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}

/** The two largest units of a span of time: `45s`, `3m 20s`, `2h 5m`, `12d 4h`. */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days > 0) return hours > 0 ? `${days}d ${hours}h` : `${days}d`;
  if (hours > 0) return minutes > 0 ? `${hours}h ${minutes}m` : `${hours}h`;
  if (minutes > 0) return whole % 60 > 0 && minutes < 10 ? `${minutes}m ${whole % 60}s` : `${minutes}m`;
  return `${whole}s`;
}

/** `3m 20s ago`, `in 40s` */
export function away(instant: EpochMs, now: EpochMs): string {
  const seconds = Math.round((now - instant) / 1000);
  if (seconds === 0) return "now";
  return seconds > 0 ? `${lasting(seconds)} ago` : `in ${lasting(-seconds)}`;
}

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
