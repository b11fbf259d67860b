import type { HistoryEvent } from "./history.ts";
import type { Random } from "./random.ts";
import { html, type Reply } from "./replies.ts";

/** How often a fault occurs: a share of requests from 0 to 1, or the next so many and then no more (counted down in place). */
export type Chance = number | { next: number };

/** What goes wrong. May be changed while the simulator runs: what is left out does not occur. */
export interface FaultOptions {
  /** The endpoint that the faults of requests befall. Default: both vendors' logs. `unpaid` befalls all. */
  path?: string | undefined;

  /** 429 with `retryAfter`, whatever the rate. */
  rateLimited?: Chance | undefined;
  /** The header of each 429: seconds, or any text; null for none. Default: when the limiter would let one through. */
  retryAfter?: number | string | null | undefined;
  /** Says `retryAfter` seconds as an HTTP date. */
  retryAfterAsDate?: boolean | undefined;
  /** `serverErrorStatus`; Pachca's body is HTML then. */
  serverError?: Chance | undefined;
  /** Default: 500, 502 or 503, by chance. */
  serverErrorStatus?: number | undefined;
  /** 402 on every method. */
  unpaid?: Chance | undefined;
  /** 200 with a page for people, as a captive portal answers. */
  html?: Chance | undefined;
  /** 200 whose body says `"status":"error"`. Communications Mining only. */
  statusError?: Chance | undefined;

  /** The connection ends before the body does: `Content-Length` says more than is sent. */
  cutBody?: Chance | undefined;
  /** Half of the JSON, with the `Content-Length` of that half. */
  truncatedJson?: Chance | undefined;
  /** The connection is closed without an answer. */
  reset?: Chance | undefined;
  /** No answer, and the connection stays open. */
  silence?: Chance | undefined;
  /** The head of an answer, and then nothing. */
  stalledBody?: Chance | undefined;

  /** `next_page` leads to the top again, and `has_next` says that there is more; so does a continuation. */
  cursorLoop?: Chance | undefined;
  /** The events of a page of Pachca's come in no order; the pages still do. */
  outOfOrder?: boolean | undefined;
  /** A cursor is refused when it is older than this. */
  cursorSeconds?: number | undefined;

  // Of Pachca's events:
  /** One event in so many is an item that cannot be exported: null, without an id, or without a time. */
  poisonEvery?: number | undefined;
  /** One event in so many holds a byte that is not UTF-8. */
  invalidUtf8Every?: number | undefined;
  /** One event in so many has `hugeBytes` of `details`. */
  hugeEvery?: number | undefined;
  /** Default 10 MiB. */
  hugeBytes?: number | undefined;
}

export type DeliveryFault = "cutBody" | "truncatedJson" | "reset" | "silence" | "stalledBody";
const DELIVERIES: readonly DeliveryFault[] = ["reset", "silence", "stalledBody", "cutBody", "truncatedJson"];

export interface Dice {
  /** Whether a fault with this chance occurs now; counts `next` down. */
  strikes(chance: Chance | undefined): boolean;
}

export function diceOf(random: Random): Dice {
  return {
    strikes(chance) {
      if (chance === undefined) return false;
      if (typeof chance === "number") return random.share() < chance;
      if (chance.next <= 0) return false;
      chance.next--;
      return true;
    },
  };
}

/** The endpoints of the logs, below their bases. */
const LOGS: readonly (string | undefined)[] = ["/audit_events", "/audit_events/query"];

const isBefallen = ({ path: named }: FaultOptions, path: string): boolean =>
  named === undefined ? LOGS.includes(path) : path === named;

/** The fault of delivery that strikes a request to `path`, if any. */
export function deliveryFault(faults: FaultOptions, path: string, dice: Dice): DeliveryFault | undefined {
  return isBefallen(faults, path) ? DELIVERIES.find((name) => dice.strikes(faults[name])) : undefined;
}

/** What an API says to a request that it does not look into. */
export type Refuse = (status: number) => Reply;

/** What is answered instead of the truth to a request to `path`, if anything. */
export function replyFault(
  faults: FaultOptions,
  path: string,
  refuse: Refuse,
  dice: Dice,
  random: Random,
  nowMs: number,
): Reply | undefined {
  if (dice.strikes(faults.unpaid)) return refuse(402);
  if (!isBefallen(faults, path)) return undefined;
  if (dice.strikes(faults.rateLimited)) return tooManyRequests(faults, refuse, nowMs, 1);
  if (dice.strikes(faults.serverError)) return refuse(faults.serverErrorStatus ?? random.pick([500, 502, 503]));
  if (dice.strikes(faults.html)) return html(200, "Sign in");
  return undefined;
}

/** 429; `waitSeconds` is what the limiter would say. */
export function tooManyRequests(faults: FaultOptions, refuse: Refuse, nowMs: number, waitSeconds: number): Reply {
  const reply = refuse(429);
  const asked = faults.retryAfter === undefined ? waitSeconds : faults.retryAfter;
  if (asked === null) return reply;
  const text =
    faults.retryAfterAsDate === true && typeof asked === "number"
      ? new Date(nowMs + asked * 1000).toUTCString()
      : String(asked);
  return { ...reply, headers: { ...reply.headers, "retry-after": text } };
}

/** An item of an answer: an event as it is sent, or something that no exporter can take for one. */
export interface Item {
  readonly record: Buffer;
  readonly poison: boolean;
}

const HUGE_BYTES = 10 * 1024 * 1024;

/** The item that stands for `event` in an answer. A function of the event and the faults alone, so that it is the same each time. */
export function itemOf(event: HistoryEvent, faults: FaultOptions): Item {
  if (isOneIn(faults.poisonEvery, event.id, 0)) return { record: poisoned(event), poison: true };
  let record = event.record;
  if (isOneIn(faults.hugeEvery, event.id, 1)) record = padded(record, faults.hugeBytes ?? HUGE_BYTES);
  if (isOneIn(faults.invalidUtf8Every, event.id, 2)) record = garbled(record);
  return { record, poison: false };
}

/** Bits of the id decide, others for each fault; a UUID of version 4 is as good as dice. */
function isOneIn(every: number | undefined, id: string, salt: number): boolean {
  if (every === undefined) return false;
  return Number.parseInt(id.slice(24 + 4 * salt, 28 + 4 * salt), 16) % every === 0;
}

function poisoned({ id, time, record }: HistoryEvent): Buffer {
  const text = record.toString();
  switch (Number.parseInt(id.slice(0, 4), 16) % 3) {
    case 0:
      return Buffer.from("null");
    case 1:
      return Buffer.from(text.replace(`"id":"${id}",`, ""));
    default:
      return Buffer.from(text.replace(new Date(time).toISOString(), "yesterday"));
  }
}

/** The record with a member of `bytes` at its end. */
function padded(record: Buffer, bytes: number): Buffer {
  const details = Buffer.from('"details":{');
  const at = record.indexOf(details) + details.length;
  const comma = record[at] === "}".charCodeAt(0) ? "" : ",";
  const padding = Buffer.from(`"padding":"${"0123456789abcdef".repeat(Math.ceil(bytes / 16))}"${comma}`);
  return Buffer.concat([record.subarray(0, at), padding, record.subarray(at)]);
}

/** The record with a byte in its `actor_type` that no UTF-8 text has. */
function garbled(record: Buffer): Buffer {
  const copy = Buffer.from(record);
  const before = '"actor_type":"';
  copy[copy.indexOf(before) + before.length] = 0xff;
  return copy;
}
