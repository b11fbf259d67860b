import type { EpochMs } from "../time.ts";

/* Numbers for people: counts, shares, sizes, spans of time. */

const NUMBERS = new Intl.NumberFormat("en");

/** Shown in place of a value that is not known. */
export const NO_VALUE = "–";

/** `12,345` */
export function formatCount(count: number): string {
  return NUMBERS.format(count);
}

/** `1 window`, `12,345 windows` */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** `99.998 %`; `100 %` only for all of it: never rounded up. */
export function formatShare(share: number): string {
  return share === 1 ? "100 %" : `${(Math.floor(share * 100_000) / 1000).toFixed(3)} %`;
}

/** `512 B`, `41.3 KiB` */
export function formatBytes(bytes: number): string {
  let amount = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (amount < 1024) return `${unit === "B" ? amount : amount.toFixed(amount < 10 ? 1 : 0)} ${unit}`;
    amount /= 1024;
  }
  return `${amount.toFixed(1)} TiB`;
}

/** A span of time in its two largest units: `45s`, `3m 20s`, `2h 5m`, `12d 4h`. */
export function formatSeconds(seconds: number): string {
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
export function formatAgo(instant: EpochMs, now: EpochMs): string {
  const seconds = Math.round((now - instant) / 1000);
  if (seconds === 0) return "now";
  return seconds > 0 ? `${formatSeconds(seconds)} ago` : `in ${formatSeconds(-seconds)}`;
}
