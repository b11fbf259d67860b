import { isUtf8 } from "node:buffer";
import { ConfigError, ProtocolError, RefusedError } from "../errors.ts";
import type { HttpClient } from "../http.ts";
import { scanArray } from "../json.ts";
import { isPoison, type AuditEvent, type Page, type Poison, type Source } from "../source.ts";
import { DAY_MS, formatSpan, MINUTE_MS, parseInstant, type Span } from "../time.ts";
import { pachcaCheck } from "./pachca-check.ts";
import { isObject, pachcaError } from "./pachca-errors.ts";
import { pachcaVocabulary } from "./pachca-vocabulary.ts";

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

/**
 * At 50 events a page, five million events in one span: half an hour at the API's rate limit. A pass that goes on for
 * longer is taken for one that never ends.
 */
const PAGES_MAX = 100_000;

/**
 * Asked again after this: were an old answer believed for ever, one wrong Date, or one step of our own clock, could leave
 * no window ready, hence no request, hence no better Date.
 */
const CLOCKS_MAX_AGE_MS = MINUTE_MS;

/** The event that each request for the log leaves in it. */
const OWN_READ_KEY = "audit_events_accessed";

/** The audit log of a Pachca workspace: `GET /audit_events`, newest first, by cursor. */
export function pachca(options: PachcaOptions, client: HttpClient): Source {
  const baseUrl = normalized(options.baseUrl);
  const { account, ownReads, userAgent, pagesMax = PAGES_MAX } = options;
  const filter = sortedFilter(options.filter);

  /** One answer, cut into its items and what it says about the next. */
  async function fetchPage(query: Query, where: () => string, signal: AbortSignal): Promise<Answer> {
    const url = new URL(`${baseUrl}/audit_events`);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const answer = await client.request({ method: "GET", url, retrySafe: true, classify: pachcaError }, signal);
    const { envelope, items } = scanArray(answer.body, "data", `${answer.what}: ${where()}`);
    return { items, ...readPaginate(envelope, where) };
  }

  /** The log of `span`, or its events of one kind, to the end. */
  async function* pass(span: Span, eventKey: string | undefined, signal: AbortSignal): AsyncGenerator<Page> {
    const first: Query = {
      // Both bounds always: without them the API answers with the whole log. The upper one was exclusive once and is
      // inclusive now; either way it covers the span, and whoever reads keeps what is in it.
      start_time: new Date(span.from).toISOString(),
      end_time: new Date(span.to).toISOString(),
      limit: String(options.pageLimit),
      event_key: eventKey,
      ...queryOf(filter),
    };
    const seen = new Set<string>();
    let cursor: string | undefined;
    let isRestarted = false;
    for (let number = 1; number <= pagesMax; number++) {
      const where = () => `page ${number} of ${formatSpan(span)}`;
      let answer: Answer;
      try {
        // The filter is not in the cursor: it goes along with each.
        answer = await fetchPage({ ...first, cursor }, where, signal);
      } catch (error) {
        if (cursor === undefined || isRestarted || !isBadRequest(error)) throw error;
        // How long a cursor lives is not documented. Begun again once; what comes twice is dropped by its id.
        isRestarted = true;
        cursor = undefined;
        seen.clear();
        continue;
      }
      const next = nextCursor(answer, cursor, where);
      if (next !== undefined && seen.has(next)) throw new ProtocolError(`${where()}: the cursor repeats`);
      yield pageOf(answer.items);
      if (next === undefined) return;
      seen.add(next);
      cursor = next;
    }
    throw new ProtocolError(`pages of ${formatSpan(span)}: no end after ${pagesMax} pages`);
  }

  function pageOf(items: readonly Buffer[]): Page {
    const events: AuditEvent[] = [];
    const poison: Poison[] = [];
    for (const record of items) {
      const item = readRecord(record);
      if (isPoison(item)) poison.push(item);
      else if (ownReads === "keep" || item.key !== OWN_READ_KEY || item.userAgent !== userAgent) {
        events.push({ id: item.id, time: item.time, key: item.key, record });
      }
    }
    return { events, poison };
  }

  return {
    identity: { type: "pachca", baseUrl, account },
    selection: { filter, ownReads },
    retentionMs: RETENTION_MS,
    vocabulary: pachcaVocabulary,

    async *pages(span, signal) {
      // One key a request. An event that answers to several passes is exported once, by its id.
      for (const eventKey of filter.eventKeys ?? [undefined]) yield* pass(span, eventKey, signal);
    },

    read(record) {
      const item = readRecord(record);
      return isPoison(item) ? item : { id: item.id, time: item.time, key: item.key, record };
    },

    async clockOffsetMs(signal) {
      const known = client.clockOffsetMs(CLOCKS_MAX_AGE_MS);
      if (known !== undefined) return known;
      // Any answer will do, a refusal too: what matters is its Date. And this request leaves no event in the log.
      const url = new URL(`${baseUrl}/oauth/token/info`);
      await client.request({ method: "GET", url, retrySafe: true, classify: () => undefined }, signal);
      // A server that keeps its time to itself leaves us with ours.
      return client.clockOffsetMs() ?? 0;
    },

    check: (signal) => pachcaCheck({ baseUrl, lagMs: options.lagMs }, client, signal),
  };
}

type Query = Readonly<Record<string, string | undefined>>;

interface Paginate {
  /** Undefined where the API does not say: on-premise versions before May 2026. */
  readonly hasNext: boolean | undefined;
  readonly nextPage: string | undefined;
}

interface Answer extends Paginate {
  readonly items: readonly Buffer[];
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
function nextCursor(answer: Answer, cursor: string | undefined, where: () => string): string | undefined {
  const { hasNext, nextPage, items } = answer;
  if (hasNext === false) return undefined;
  // Versions that do not say end with an empty page, and give the last cursor back.
  if (hasNext === undefined && (items.length === 0 || (cursor !== undefined && nextPage === cursor))) return undefined;
  if (nextPage === undefined)
    throw new ProtocolError(`${where()}: more is to come, but meta.paginate.next_page is missing`);
  return nextPage;
}

function isBadRequest(error: unknown): boolean {
  return error instanceof RefusedError && error.code === "bad_request";
}

/** An event, and who asked for it: by that our own reads are known. */
type Item = AuditEvent & { readonly userAgent: unknown };

function readRecord(record: Buffer): Item | Poison {
  let value: unknown;
  try {
    value = JSON.parse(record.toString("utf8"));
  } catch {
    return { reason: isUtf8(record) ? "not JSON" : "not UTF-8", record };
  }
  if (!isObject(value)) return { reason: "not an object", record };
  const { created_at: createdAt, event_key: key, user_agent: userAgent } = value;
  // A letter that was not UTF-8 reads as U+FFFD: such an id is not the one that was sent.
  const isId = typeof value["id"] === "string" && value["id"] !== "" && !value["id"].includes("\ufffd");
  const id = isId ? (value["id"] as string) : undefined;
  const time = typeof createdAt === "string" ? parseInstant(createdAt) : undefined;
  const poison = (reason: string): Poison => ({ reason, record, id, time });
  if (!isUtf8(record)) return poison("not UTF-8");
  if (id === undefined) return poison("no id");
  if (time === undefined) return poison("created_at is not an instant");
  return { id, time, key: typeof key === "string" ? key : "", record, userAgent };
}

/** Without the slash at its end, which says nothing: the ledger tells sources apart by this. */
function normalized(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isPlain =
    url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (isPlain && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, "");
  throw new ConfigError("source: baseUrl is not an http or https address without user, query and fragment", {
    hint: "set baseUrl to https://api.pachca.com/api/shared/v1, or to its like on your own host",
  });
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
