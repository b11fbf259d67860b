declare const unit: unique symbol;

/** Milliseconds since the Unix epoch. The brand keeps seconds and durations out. */
export type EpochMs = number & { readonly [unit]: "EpochMs" };

export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A half-open span of time, `[from, to)`. */
export interface Span {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/** Brands a number that is known to be milliseconds since the epoch. */
export function epochMs(ms: number): EpochMs {
  return ms as EpochMs;
}

const INSTANT = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))$/;

/**
 * Reads an RFC 3339 instant. Fractions of a millisecond are cut off, not rounded, so that an event stays on its side of a
 * bound. Returns undefined for anything else, including February 30 and a missing time zone.
 */
export function parseInstant(text: string): EpochMs | undefined {
  const usual = parseUsualInstant(text);
  if (usual !== undefined) return usual;
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", , sign, offsetHour = "0", offsetMinute = "0"] = match;
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  // Date.UTC carries a field that is out of range into the next one, and reads years below 100 as 19xx.
  const rolled = new Date(ms);
  if (
    rolled.getUTCFullYear() !== Number(year) ||
    rolled.getUTCMonth() !== Number(month) - 1 ||
    rolled.getUTCDate() !== Number(day) ||
    Number(hour) > 23 ||
    Number(minute) > 59 ||
    Number(second) > 59 ||
    Number(offsetHour) > 23 ||
    Number(offsetMinute) > 59
  ) {
    return undefined;
  }
  const offsetMs = (Number(offsetHour) * HOUR_MS + Number(offsetMinute) * MINUTE_MS) * (sign === "-" ? -1 : 1);
  return epochMs(ms + Number(fraction.padEnd(3, "0").slice(0, 3)) - offsetMs);
}

/**
 * Reads the form that nearly every API sends, `2026-11-20T10:00:00.000Z`, much faster than the regular expression: there is
 * one for each event. Returns undefined for any other form, and in case of doubt.
 */
function parseUsualInstant(text: string): EpochMs | undefined {
  if (text.length !== 24 || text[10] !== "T" || text[19] !== "." || text[23] !== "Z") return undefined;
  if (text[4] !== "-" || text[7] !== "-" || text[13] !== ":" || text[16] !== ":") return undefined;
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  // NaN, for a character that is not a digit, compares as out of range.
  const isInRange =
    year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour <= 23 && minute <= 59 && second <= 59;
  if (!isInRange) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second, digits(text, 20, 23));
  if (Number.isNaN(ms) || (day > 28 && new Date(ms).getUTCDate() !== day)) return undefined;
  return epochMs(ms);
}

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = 10 * value + digit;
  }
  return value;
}

/** How an API writes an instant. Epoch seconds may have a fraction. */
export type InstantFormat = "iso" | "epoch-seconds" | "epoch-milliseconds";

/** The last instant that four digits of a year can show. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Reads an instant in one of these formats; finer fractions than a millisecond are cut. Undefined for anything else. */
export function instantFrom(text: string, format: InstantFormat): EpochMs | undefined {
  if (format === "iso") return parseInstant(text);
  const [, whole, fraction = ""] = /^(\d{1,15})(?:\.(\d+))?$/.exec(text) ?? [];
  const ms =
    format === "epoch-seconds"
      ? Number(whole) * SECOND_MS + Number(fraction.padEnd(3, "0").slice(0, 3))
      : Number(whole);
  // Undefined digits are NaN, which is in no range.
  return ms <= LAST_MS ? epochMs(ms) : undefined;
}

/** `2026-11-20T10:00:00Z`; with milliseconds only if they are not zero. */
export function formatInstant(instant: EpochMs): string {
  const text = new Date(instant).toISOString();
  return text.endsWith(".000Z") ? `${text.slice(0, -5)}Z` : text;
}

/** `20261120T100000Z`: fixed width, for names. */
export function compactInstant(instant: EpochMs): string {
  return `${new Date(instant).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** A span as a member of JSON: `{ "from": "2026-11-20T10:00:00Z", "to": "2026-11-20T10:05:00Z" }`. */
export function jsonSpan({ from, to }: Span): { readonly from: string; readonly to: string } {
  return { from: formatInstant(from), to: formatInstant(to) };
}

/** `2026-11-20T10:00:00Z/2026-11-20T10:05:00Z`, as ISO 8601 writes an interval. */
export function formatSpan({ from, to }: Span): string {
  return `${formatInstant(from)}/${formatInstant(to)}`;
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
};

/** Reads `90s`, `5m`, `1h30m`, `365d` into milliseconds; undefined for anything else, a bare number included. */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let ms = 0;
  for (const [, amount, name = ""] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * (DURATION_UNITS[name] ?? Number.NaN);
  }
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** `1h30m`, `5m`, `0s`: the form that `parseDuration` reads. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return "0s";
  let rest = durationMs;
  let text = "";
  for (const name of ["d", "h", "m", "s", "ms"]) {
    const size = DURATION_UNITS[name] ?? 1;
    const amount = Math.floor(rest / size);
    if (amount > 0) text += `${amount}${name}`;
    rest -= amount * size;
  }
  return text;
}
