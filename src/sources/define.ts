import type { z } from "zod";
import { ConfigError, ProtocolError, TransientError, type ExporterError } from "../errors.ts";
import {
  DEFAULT_TIMEOUTS,
  httpClient,
  type HttpAnswer,
  type HttpClientOptions,
  type HttpRequest,
  type HttpTimeouts,
} from "../http/client.ts";
import { printable, retryAfter, statusError, type Throttling } from "../http/errors.ts";
import { eventReader, pageReader, type PageAnswer, type PageLayout } from "../json/event-reader.ts";
import { isObject, parsedJson } from "../json/parse.ts";
import { compact } from "../json/tokens.ts";
import type { EventMembers, Finding, Page, Source } from "../source.ts";
import { epochMs, formatSpan, MINUTE_MS, SECOND_MS, type EpochMs, type Span } from "../time.ts";
import { clockFinding, failedFinding } from "./check.ts";
import { knownClockOffsetMs } from "./clock.ts";
import { nextIn, type Next } from "./next.ts";
import { pass } from "./paginate.ts";
import { settingsSchema, type AccountSettings, type CommonSettings, type OwnSettings } from "./settings.ts";
import { vocabularyOf, type Meanings } from "./vocabulary.ts";

/** A request for one page of the log. */
export interface PageQuery {
  /** From inclusive, to exclusive. The answer may have events outside of it, but must have all inside. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Events per page. */
  readonly limit: number;
  /** From the page before; undefined for the first page, and where the next page has its own URL. */
  readonly cursor: string | undefined;
  /** Which of several passes over the span this is; from `pages`. */
  readonly part: string | undefined;
}

/** A request to the log, which only reads. */
export interface LogRequest {
  /** Appended to the base URL. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** If present, the request is a POST with this as JSON. */
  readonly body?: unknown;
}

/** How an API's refusals differ from standard HTTP. */
export interface Refusals {
  /** The reason in a refusal's body, which is parsed JSON or undefined. */
  readonly reason?: (body: unknown) => string | undefined;
  /** Hints for the operator, by HTTP status. */
  readonly hints?: Readonly<Record<number, string | ((reason: string | undefined) => string)>>;
  /** Further statuses of temporary errors, which are retried. */
  readonly passing?: readonly number[];
  /** The reason if an answer with HTTP 200 is a refusal, from its JSON without the records; undefined otherwise. */
  readonly within?: (answer: Readonly<Record<string, unknown>>) => string | undefined;
}

/** Sends one GET request, without retries. `error`: the error that the answer's status means. */
export type Ask = (path: string) => Promise<HttpAnswer & { readonly error: ExporterError | undefined }>;

/** A vendor's API: its settings, its requests and the layout of its answers. One definition, in one file, per vendor. */
export interface SourceDefinition<Type extends string, Own extends z.ZodRawShape> extends AccountSettings<Type, Own> {
  /** The settings that select events. Equal selections must be equal as JSON: they are part of the fingerprint. */
  readonly selection?: (settings: OwnSettings<Own>) => unknown;
  /** The same settings, restricted to some event keys, if the API has such a filter. */
  readonly onlyKeys?: (settings: OwnSettings<Own>, eventKeys: string[]) => OwnSettings<Own>;
  /** How long the vendor keeps events; undefined if it is not documented. */
  readonly retentionMs?: number;
  /** The default of `windows.lookback` for this source, if the usual one does not fit. */
  readonly lookbackMs?: number;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** The headers with the token. Default: `Authorization: Bearer`. */
  readonly authorize?: (token: string) => Readonly<Record<string, string>>;
  readonly throttling?: Throttling;
  readonly refusals?: Refusals;
  readonly request: (query: PageQuery, settings: OwnSettings<Own>) => LogRequest;
  /** How far requests extend the span on both sides, if the API does not filter by exactly the times that events have. */
  readonly slackMs?: number;
  readonly next: Next;
  /** The dotted path of the array of records; `""`: the answer itself is the array. */
  readonly items: string;
  readonly members: EventMembers;
  readonly join?: PageLayout["join"];
  /** Selects events that are not exported. `userAgent`: the one that this worker sends. */
  readonly leaveOut?: (settings: OwnSettings<Own>, userAgent: string) => PageLayout["leaveOut"];
  /** Several passes over a span; `request` gets the `part` of each. Default: one pass. */
  readonly pages?: (pass: (part?: string) => AsyncIterable<Page>, settings: OwnSettings<Own>) => AsyncIterable<Page>;
  /** The path of a cheap request that leaves no event, to read the API's clock. Default: the smallest query. */
  readonly clock?: string;
  /** Checks of the preflight before it reads the log. If it throws an error, `token` fails and the preflight ends. */
  readonly check?: (ask: Ask) => AsyncIterable<Finding>;
  readonly meanings: Meanings;
}

/** What a source needs besides its settings. */
export interface Surroundings extends Omit<HttpClientOptions, "secret" | "authorize" | "throttling"> {
  /** The stream's lag behind the clock. The preflight compares the clocks' difference with it. */
  readonly lagMs: number;
  /** The maximum number of pages of one pass. */
  readonly pagesMax?: number | undefined;
}

/** The documented default of `windows.lookback`. */
const LOOKBACK_MS = 15 * MINUTE_MS;

/** A source type, for the list in index.ts. */
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type -- no settings of its own
export function defineSource<const Type extends string, Own extends z.ZodRawShape = Record<never, never>>(
  definition: SourceDefinition<Type, Own>,
) {
  const { type, about, lookbackMs = LOOKBACK_MS, members } = definition;
  const timeouts: HttpTimeouts = { ...DEFAULT_TIMEOUTS, ...definition.timeouts };
  const vocabulary = vocabularyOf(definition.meanings, members);
  return {
    type,
    about,
    lookbackMs,
    timeouts,
    vocabulary,
    schema: settingsSchema(definition),
    onlyKeys: definition.onlyKeys,
    /** @throws ConfigError when no path can be appended to baseUrl */
    open(settings: CommonSettings & OwnSettings<Own>, surroundings: Surroundings): Source {
      const api = apiOf(definition, settings, { timeouts, ...surroundings });
      const { pages, clock, check } = definition;
      return {
        identity: { type, baseUrl: api.baseUrl, account: settings.account },
        selection: definition.selection?.(settings) ?? {},
        retentionMs: definition.retentionMs,
        members,
        vocabulary,
        pages: (span, signal) =>
          pages === undefined
            ? api.pass(span, undefined, signal)
            : pages((part) => api.pass(span, part, signal), settings),
        read: eventReader(members),
        clockOffsetMs: (signal) =>
          knownClockOffsetMs(api.client, () => {
            const light = clock === undefined ? api.smallest(PAST_SECOND) : api.get(clock);
            return api.client.request({ ...light, retrySafe: true, classify: () => undefined }, signal);
          }),
        check: (signal) => preflight(api, check, surroundings.lagMs, signal),
      };
    },
  };
}

/** A second long ago, for a request whose answer does not matter. */
const PAST_SECOND: Span = { from: epochMs(Date.UTC(2020, 0, 1)), to: epochMs(Date.UTC(2020, 0, 1) + SECOND_MS) };

/** The API of one account, by its definition. */
function apiOf<Own extends z.ZodRawShape>(
  definition: SourceDefinition<string, Own>,
  settings: CommonSettings & OwnSettings<Own>,
  { lagMs: _, pagesMax, ...options }: Surroundings,
) {
  const { authorize, throttling, refusals = {}, next, slackMs = 0 } = definition;
  const baseUrl = baseAddress(settings.baseUrl, definition.baseUrl);
  const client = httpClient({ ...options, secret: settings.token, authorize, throttling });
  const classify = classifier(refusals);
  const leaveOut = definition.leaveOut?.(settings, options.userAgent);
  const readPage = pageReader(definition.members, { items: definition.items, join: definition.join, leaveOut });

  function requestFor(pageQuery: PageQuery): HttpRequest {
    const { path, query = {}, headers, body } = definition.request(pageQuery, settings);
    const url = new URL(`${baseUrl}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    // Even a POST only reads here.
    const request = { url, headers, retrySafe: true, classify };
    if (body === undefined) return { ...request, method: "GET" };
    const json = { "content-type": "application/json", ...headers };
    return { ...request, method: "POST", headers: json, body: JSON.stringify(body) };
  }

  function readAnswer(answer: HttpAnswer, what: string): PageAnswer {
    return readPage(answer.body, what, (envelope) => {
      const value = parsedJson(envelope);
      const refusal = isObject(value) ? refusals.within?.(value) : undefined;
      if (refusal !== undefined) throw new ProtocolError(`${what}: HTTP 200, but ${printable(refusal)}`);
    });
  }

  return {
    baseUrl,
    client,
    readAnswer,
    /** A request for one event. */
    smallest: (span: Span) => requestFor({ ...span, limit: 1, cursor: undefined, part: undefined }),
    /** A GET request with this path. */
    get: (path: string) => ({ method: "GET", url: new URL(`${baseUrl}${path}`) }) as const,
    errorOf: classify,

    /** All pages of a span, or of one part of its events. */
    pass(span: Span, part: string | undefined, signal: AbortSignal): AsyncIterable<Page> {
      const asked = { from: epochMs(span.from - slackMs), to: epochMs(span.to + slackMs) };
      const isUrl = !("cursor" in next);
      return pass(
        span,
        async (cursor, where) => {
          const request = requestFor({ ...asked, limit: settings.pageLimit, cursor: isUrl ? undefined : cursor, part });
          const url = isUrl && cursor !== undefined ? new URL(cursor) : request.url;
          const answer = await client.request({ ...request, url }, signal);
          const { page, envelope, count } = readAnswer(answer, `${answer.what}: ${where()}`);
          const { link } = answer.headers;
          const ending = { envelope: compact(Buffer.from(envelope)), count, link: link?.toString(), url, cursor };
          return { page, next: nextIn(next, { ...ending, where: where() }) };
        },
        pagesMax,
      );
    },
  };
}

/**
 * The source's own checks, then one query of the log, because nothing else proves the permission to read it; and the clocks.
 * No request is retried, because a person is waiting.
 */
async function* preflight(
  { client, get, errorOf, smallest, readAnswer }: ReturnType<typeof apiOf>,
  check: ((ask: Ask) => AsyncIterable<Finding>) | undefined,
  lagMs: number,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  if (check !== undefined) {
    const ask: Ask = async (path) => {
      const request = { ...get(path), retrySafe: false, classify: () => undefined };
      const answer = await client.request(request, signal);
      return { ...answer, error: errorOf(answer) };
    };
    try {
      yield* check(ask);
    } catch (error) {
      yield failedFinding("token", error, signal);
      return;
    }
    yield clockFinding(client.clockOffsetMs(), lagMs);
  }
  // A minute in the past: it cannot contain the event that this query itself may leave.
  const minute = Math.floor(Date.now() / MINUTE_MS);
  const span: Span = { from: epochMs((minute - 3) * MINUTE_MS), to: epochMs((minute - 2) * MINUTE_MS) };
  try {
    const answer = await client.request({ ...smallest(span), retrySafe: false }, signal);
    const found = readAnswer(answer, answer.what).count > 0 ? "has events" : "has no events";
    yield { state: "ok", what: `audit log: readable, ${found} in ${formatSpan(span)}` };
  } catch (error) {
    yield failedFinding("audit log", error, signal);
    return;
  }
  if (check === undefined) yield clockFinding(client.clockOffsetMs(), lagMs);
}

/** Converts an answer of this API to an error; undefined for 2xx. */
function classifier({ reason: reasonIn, hints = {}, passing = [] }: Refusals = {}) {
  return (answer: HttpAnswer): ExporterError | undefined => {
    if (answer.status >= 200 && answer.status <= 299) return undefined;
    // Gateways in between send their own pages.
    const reason = reasonIn?.(parsedJson(answer.body));
    const hint = hints[answer.status];
    const error = statusError(answer, { reason, hint: typeof hint === "function" ? hint(reason) : hint });
    if (error === undefined || !passing.includes(answer.status)) return error;
    return new TransientError("unavailable", error.message, { retryAfterMs: retryAfter(answer) });
  };
}

/**
 * A base URL without a slash at its end, so that the same API has the same identity in the ledger.
 * @throws ConfigError when no path can be appended to it
 */
function baseAddress(baseUrl: string, { hint, notIn }: AccountSettings<string, z.ZodRawShape>["baseUrl"]): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isPlain = url !== undefined && `${url.username}${url.password}${url.search}${url.hash}` === "";
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError("source: baseUrl is not an http or https URL without user, query and fragment", { hint });
  }
  const address = url.href.replace(/\/+$/, "");
  if (notIn?.test(address) !== true) return address;
  throw new ConfigError("source: baseUrl includes the path of the API, which is appended to it", { hint });
}
