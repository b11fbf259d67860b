import { ProtocolError } from "../../errors.ts";
import type { HttpClient } from "../../http/client.ts";
import { recordReader } from "../../json/record.ts";
import { scanArray, type ScannedArray } from "../../json/scan.ts";
import { isPoison, type AuditEvent, type Page, type Poison, type Source } from "../../source.ts";
import { DAY_MS } from "../../time.ts";
import { baseAddress } from "../address.ts";
import { knownClockOffsetMs } from "../clock.ts";
import { pachcaCheck } from "./check.ts";
import { pachcaError } from "./errors.ts";
import { pachcaVocabulary } from "./vocabulary.ts";
import { pass, type Answer } from "../paginate.ts";
import { isObject } from "../../json/parse.ts";
import { plainEvent, readRecord, type EventMembers } from "../record.ts";

export interface PachcaOptions {
  /** Ends in `/api/shared/v1`; on-premise installations have their own host. */
  readonly baseUrl: string;
  /** A name for the workspace, told apart in the ledger. */
  readonly account: string;
  readonly filter: PachcaFilter;
  /** Each request for the log makes an event of its own: whether to leave ours out. */
  readonly ownReads: "keep" | "drop";
  /** Events a page; the API gives 50 at most. */
  readonly pageLimit: number;
  /** The same as the client sends: by it our own reads are known. */
  readonly userAgent: string;
  /** How far the stream stays behind the clock: by this the preflight judges the clocks. */
  readonly lagMs: number;
  /** Pages that one pass may take. */
  readonly pagesMax?: number | undefined;
}

/** All must hold; of several event keys any. */
export interface PachcaFilter {
  readonly eventKeys?: readonly string[] | undefined;
  readonly actorId?: string | undefined;
  readonly actorType?: string | undefined;
  readonly entityId?: string | undefined;
  readonly entityType?: string | undefined;
}

/** Not documented for the method; given in the guide to the audit log. */
const RETENTION_MS = 90 * DAY_MS;

const MEMBERS: EventMembers = { id: "id", time: "created_at", key: "event_key" };

/** The event that each request for the log leaves in it. */
const OWN_READ_KEY = "audit_events_accessed";

const BASE_URL_HINT = "set baseUrl to https://api.pachca.com/api/shared/v1, or to its like on your own host";

/** The audit log of a Pachca workspace: `GET /audit_events`, newest first, by cursor. */
export function pachca(options: PachcaOptions, client: HttpClient): Source {
  const baseUrl = baseAddress(options.baseUrl, BASE_URL_HINT);
  const { account, ownReads, userAgent, pagesMax } = options;
  const filter = sortedFilter(options.filter);
  const reader = recordReader([MEMBERS.id, MEMBERS.time, MEMBERS.key]);

  async function fetchPage(query: Query, where: () => string, signal: AbortSignal): Promise<Answer> {
    const url = new URL(`${baseUrl}/audit_events`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const answer = await client.request({ method: "GET", url, retrySafe: true, classify: pachcaError }, signal);
    const scanned = scanArray(answer.body, "data", `${answer.what}: ${where()}`, reader);
    const { envelope, items } = scanned;
    return { page: pageOf(scanned), next: nextCursor(envelope, items.length, query["cursor"], where) };
  }

  function pageOf({ items, strings }: ScannedArray): Page {
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    let index = 0;
    for (const record of items) {
      const event = plainEvent(record, strings[index++]);
      if (event !== undefined && event.key !== OWN_READ_KEY) {
        events.push(event);
        continue;
      }
      const { item, value } = readRecord(record, MEMBERS);
      if (isPoison(item)) poison.push(item);
      else if (ownReads === "keep" || item.key !== OWN_READ_KEY || value["user_agent"] !== userAgent) events.push(item);
    }
    return { events, poison };
  }

  return {
    identity: { type: "pachca", baseUrl, account },
    selection: { filter, ownReads },
    retentionMs: RETENTION_MS,
    members: {
      id: [{ path: MEMBERS.id, format: "text" }],
      time: [{ path: MEMBERS.time, format: "iso" }],
      kind: [MEMBERS.key],
    },
    vocabulary: pachcaVocabulary,

    async *pages(span, signal) {
      const query: Query = {
        // Both bounds always: without them the API answers with the whole log. The upper one was exclusive once and is
        // inclusive now; either way it covers the span, and whoever reads keeps what is in it.
        start_time: new Date(span.from).toISOString(),
        end_time: new Date(span.to).toISOString(),
        limit: String(options.pageLimit),
        ...queryOf(filter),
      };
      // One key a request. An event that answers to several passes is exported once, by its id.
      for (const eventKey of filter.eventKeys ?? [undefined]) {
        // The filter is not in the cursor: it goes along with each.
        const first = { ...query, event_key: eventKey };
        yield* pass(span, (cursor, where) => fetchPage({ ...first, cursor }, where, signal), pagesMax);
      }
    },

    read: (record) => readRecord(record, MEMBERS).item,

    clockOffsetMs: (signal) =>
      knownClockOffsetMs(client, () => {
        // This request leaves no event in the log.
        const url = new URL(`${baseUrl}/oauth/token/info`);
        return client.request({ method: "GET", url, retrySafe: true, classify: () => undefined }, signal);
      }),

    check: (signal) => pachcaCheck({ baseUrl, lagMs: options.lagMs }, client, signal),
  };
}

type Query = Readonly<Record<string, string | undefined>>;

interface Paginate {
  /** Undefined where the API does not say: on-premise versions before May 2026. */
  readonly hasNext: boolean | undefined;
  readonly nextPage: string | undefined;
}

/** What the answer says about the next page. An answer that says nothing about it may be a short one, and is none. */
function readPaginate(envelope: string, where: () => string): Paginate {
  const { meta } = JSON.parse(envelope) as { readonly meta?: unknown };
  const paginate = isObject(meta) ? meta["paginate"] : undefined;
  if (!isObject(paginate)) throw new ProtocolError(`${where()}: the answer has no meta.paginate`);
  const { has_next: hasNext, next_page: nextPage } = paginate;
  if (hasNext !== undefined && typeof hasNext !== "boolean") {
    throw new ProtocolError(`${where()}: meta.paginate.has_next is neither true nor false`);
  }
  return { hasNext, nextPage: typeof nextPage === "string" && nextPage !== "" ? nextPage : undefined };
}

/** The cursor to go on with; undefined at the end, which is where the API says so: an empty page is none. */
function nextCursor(
  envelope: string,
  items: number,
  cursor: string | undefined,
  where: () => string,
): string | undefined {
  const { hasNext, nextPage } = readPaginate(envelope, where);
  if (hasNext === false) return undefined;
  // Versions that do not say end with an empty page, and give the last cursor back.
  if (hasNext === undefined && (items === 0 || (cursor !== undefined && nextPage === cursor))) return undefined;
  if (nextPage === undefined)
    throw new ProtocolError(`${where()}: more is to come, but meta.paginate.next_page is missing`);
  return nextPage;
}

/** The same filter, written in another order, is the same: it is compared as JSON. */
function sortedFilter({ eventKeys, actorId, actorType, entityId, entityType }: PachcaFilter): PachcaFilter {
  const keys = [...new Set(eventKeys)].sort();
  const given = Object.entries({ actorId, actorType, entityId, entityType }).filter(([, value]) => value !== undefined);
  return { ...(keys.length > 0 ? { eventKeys: keys } : {}), ...Object.fromEntries(given) };
}

function queryOf({ actorId, actorType, entityId, entityType }: PachcaFilter): Query {
  return { actor_id: actorId, actor_type: actorType, entity_id: entityId, entity_type: entityType };
}
