import { html, type Reply } from "./api.ts";
import type { PachcaEvent } from "./pachca-history.ts";
import type { Random } from "./random.ts";

/** How often a fault occurs: a share of the requests from 0 to 1, or the next N requests (`next` is counted down in place). */
export type Chance = number | { next: number };

/** What goes wrong. It may be changed while the simulator runs. Faults that are left out do not occur. */
export interface FaultOptions {
  /** The endpoint whose requests fail. Default: the audit logs of both vendors. `unpaid` affects every endpoint. */
  path?: string | undefined;

  /** 429 with `retryAfter`, whatever the request rate is. */
  rateLimited?: Chance | undefined;
  /** The header of each 429: seconds or any text; null for none. Default: the time until the rate limit allows a request. */
  retryAfter?: number | string | null | undefined;
  /** Sends `retryAfter` as an HTTP date. */
  retryAfterAsDate?: boolean | undefined;
  /** A reply with `serverErrorStatus`. The body of Pachca's is HTML. */
  serverError?: Chance | undefined;
  /** Default: 500, 502 or 503, at random. */
  serverErrorStatus?: number | undefined;
  /** 402 for every endpoint. */
  unpaid?: Chance | undefined;
  /** 200 with an HTML page, like the answer of a captive portal. */
  html?: Chance | undefined;
  /** 200 with `"status":"error"` in the body. Communications Mining only. */
  statusError?: Chance | undefined;

  /** The connection is closed in the middle of the body, before `Content-Length` bytes were sent. */
  cutBody?: Chance | undefined;
  /** Half of the JSON, with the `Content-Length` of the half. */
  truncatedJson?: Chance | undefined;
  /** The connection is closed without an answer. */
  reset?: Chance | undefined;
  /** No answer, and the connection stays open. */
  silence?: Chance | undefined;
  /** The headers of an answer, and then nothing. */
  stalledBody?: Chance | undefined;

  /** `next_page` leads back to the first page, and `has_next` is true. The same for a continuation. */
  cursorLoop?: Chance | undefined;
  /** Pachca: the events of a page have no order; the pages still have. */
  outOfOrder?: boolean | undefined;
  /** Older cursors are refused. */
  cursorSeconds?: number | undefined;

  // Events of Pachca:
  /** One event in N is an item that cannot be exported: null, without an id, or without a time. */
  poisonEvery?: number | undefined;
  /** One event in N contains a byte that is not UTF-8. */
  invalidUtf8Every?: number | undefined;
  /** One event in N has `hugeBytes` of `details`. */
  hugeEvery?: number | undefined;
  /** Default 10 MiB. */
  hugeBytes?: number | undefined;
}

export type DeliveryFault = "cutBody" | "truncatedJson" | "reset" | "silence" | "stalledBody";
const DELIVERIES: readonly DeliveryFault[] = ["reset", "silence", "stalledBody", "cutBody", "truncatedJson"];

/** The endpoints of the audit logs, below their base URLs. */
const LOGS: readonly (string | undefined)[] = ["/audit_events", "/audit_events/query"];

/** Decides which requests fail, and how. */
export interface FaultInjector {
  readonly options: FaultOptions;
  /** Whether a fault with this chance occurs now. */
  strikes(chance: Chance | undefined): boolean;
  /** The fault in the delivery of the answer to a request for `path`, if any. */
  deliveryFault(path: string): DeliveryFault | undefined;
  /** The reply instead of the real answer to a request for `path`, if any. */
  replyFault(path: string, refuse: Refuse, nowMs: number): Reply | undefined;
  /** The reply 429, by default with `waitSeconds` in its header. */
  tooManyRequests(refuse: Refuse, nowMs: number, waitSeconds: number): Reply;
}

/** Makes a reply with a status, as `Api.refuse` does. */
type Refuse = (status: number) => Reply;

/** @param options is read for each request, and `next` in it is counted down */
export function faultInjector(options: FaultOptions, random: Random): FaultInjector {
  const affects = (path: string): boolean => (options.path === undefined ? LOGS.includes(path) : path === options.path);

  function strikes(chance: Chance | undefined): boolean {
    if (chance === undefined) return false;
    if (typeof chance === "number") return random.share() < chance;
    if (chance.next <= 0) return false;
    chance.next--;
    return true;
  }

  function tooManyRequests(refuse: Refuse, nowMs: number, waitSeconds: number): Reply {
    const reply = refuse(429);
    const wait = options.retryAfter === undefined ? waitSeconds : options.retryAfter;
    if (wait === null) return reply;
    const text =
      options.retryAfterAsDate === true && typeof wait === "number"
        ? new Date(nowMs + wait * 1000).toUTCString()
        : String(wait);
    return { ...reply, headers: { ...reply.headers, "retry-after": text } };
  }

  return {
    options,
    strikes,
    tooManyRequests,
    deliveryFault: (path) => (affects(path) ? DELIVERIES.find((name) => strikes(options[name])) : undefined),
    replyFault(path, refuse, nowMs) {
      if (strikes(options.unpaid)) return refuse(402);
      if (!affects(path)) return undefined;
      if (strikes(options.rateLimited)) return tooManyRequests(refuse, nowMs, 1);
      if (strikes(options.serverError)) return refuse(options.serverErrorStatus ?? random.pick([500, 502, 503]));
      if (strikes(options.html)) return html(200, "Sign in");
      return undefined;
    },
  };
}

/** An item of an answer: an event as it is sent, or something that is not a valid event (poison). */
export interface Item {
  readonly record: Buffer;
  readonly poison: boolean;
}

const HUGE_BYTES = 10 * 1024 * 1024;

/** The item of an event. It depends only on the event and the options, so it is the same in every answer. */
export function itemOf(event: PachcaEvent, faults: FaultOptions): Item {
  if (isOneIn(faults.poisonEvery, event.id, 0)) return { record: poisoned(event), poison: true };
  let record = event.record;
  if (isOneIn(faults.hugeEvery, event.id, 1)) record = padded(record, faults.hugeBytes ?? HUGE_BYTES);
  if (isOneIn(faults.invalidUtf8Every, event.id, 2)) record = garbled(record);
  return { record, poison: false };
}

/** Decided by random bits of the id, different ones for each fault (`salt`). */
function isOneIn(every: number | undefined, id: string, salt: number): boolean {
  if (every === undefined) return false;
  return Number.parseInt(id.slice(24 + 4 * salt, 28 + 4 * salt), 16) % every === 0;
}

function poisoned({ id, time, record }: PachcaEvent): Buffer {
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

/** The record with a member of `bytes` at the start of its details. */
function padded(record: Buffer, bytes: number): Buffer {
  const details = Buffer.from('"details":{');
  const at = record.indexOf(details) + details.length;
  const comma = record[at] === "}".charCodeAt(0) ? "" : ",";
  const padding = Buffer.from(`"padding":"${"0123456789abcdef".repeat(Math.ceil(bytes / 16))}"${comma}`);
  return Buffer.concat([record.subarray(0, at), padding, record.subarray(at)]);
}

/** The record with a byte in its `actor_type` that is not UTF-8. */
function garbled(record: Buffer): Buffer {
  const copy = Buffer.from(record);
  const before = '"actor_type":"';
  copy[copy.indexOf(before) + before.length] = 0xff;
  return copy;
}
