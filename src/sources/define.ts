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

/** One question to the log. */
export interface Question {
  /** From inclusive, to exclusive; a request may ask for more, never for less. */
  readonly from: EpochMs;
  readonly to: EpochMs;
  /** Events in a page. */
  readonly limit: number;
  /** Where the page before ended; undefined for the first, and where the next page has a URL of its own. */
  readonly cursor: string | undefined;
  /** Which of several passes over the span this is, as `pages` says it. */
  readonly part: string | undefined;
}

/** A request for the log, always for reading. */
export interface LogRequest {
  /** Behind the base URL. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON, by POST. */
  readonly body?: unknown;
}

/** What of an API's refusals is its own. Other statuses mean what HTTP says. */
export interface Refusals {
  /** The API's own words in a refusal's body, which is parsed JSON or undefined. */
  readonly reason?: (body: unknown) => string | undefined;
  /** What to do, by HTTP status. */
  readonly hints?: Readonly<Record<number, string | ((reason: string | undefined) => string)>>;
  /** Statuses that pass on their own, and are retried. */
  readonly passing?: readonly number[];
  /** Why an answer of HTTP 200 is a refusal, by its JSON without the records; undefined when it is none. */
  readonly within?: (answer: Readonly<Record<string, unknown>>) => string | undefined;
}

/** Asks once, without retries; `error` is what the answer's status stands for. */
export type Ask = (path: string) => Promise<HttpAnswer & { readonly error: ExporterError | undefined }>;

/** Where the vendor's API is, how to ask it, and where an answer has what. A vendor is one of these, in one file. */
export interface SourceDefinition<Type extends string, Own extends z.ZodRawShape> extends AccountSettings<Type, Own> {
  /** The settings that choose among the log's events, written so that equal choices are equal JSON. Part of the fingerprint. */
  readonly selection?: (settings: OwnSettings<Own>) => unknown;
  /** The same settings for some keys of events only, where the API can be asked so. */
  readonly onlyKeys?: (settings: OwnSettings<Own>, eventKeys: string[]) => OwnSettings<Own>;
  /** How long the vendor keeps events; without it, no one says. */
  readonly retentionMs?: number;
  /** How far a run looks back, where the default of `windows.lookback` does not fit. */
  readonly lookbackMs?: number;
  readonly timeouts?: Partial<HttpTimeouts>;
  /** The headers that carry the token; `Authorization: Bearer` without it. */
  readonly authorize?: (token: string) => Readonly<Record<string, string>>;
  readonly throttling?: Throttling;
  readonly refusals?: Refusals;
  readonly request: (question: Question, settings: OwnSettings<Own>) => LogRequest;
  /** How much wider than the span is asked for, where event times are not those that are asked by. */
  readonly slackMs?: number;
  readonly next: Next;
  /** The array of records in an answer, dotted; `""`: the answer is that array. */
  readonly items: string;
  readonly members: EventMembers;
  readonly join?: PageLayout["join"];
  /** Which events are not exported; `userAgent` is the one that we send. */
  readonly leaveOut?: (settings: OwnSettings<Own>, userAgent: string) => PageLayout["leaveOut"];
  /** Several passes over a span, each with a part that `request` is given. Without it there is one. */
  readonly pages?: (pass: (part?: string) => AsyncIterable<Page>, settings: OwnSettings<Own>) => AsyncIterable<Page>;
  /** A path that costs little and leaves no event, for a look at the API's clock. Without it: the smallest question. */
  readonly clock?: string;
  /** What the preflight asks before it reads the log. An error that it throws is a finding about `token`, and ends the preflight. */
  readonly check?: (ask: Ask) => AsyncIterable<Finding>;
  readonly meanings: Meanings;
}

/** What a source is opened with besides its settings. */
export interface Surroundings extends Omit<HttpClientOptions, "secret" | "authorize" | "throttling"> {
  /** How far the stream stays behind the clock: by this the preflight judges the clocks. */
  readonly lagMs: number;
  /** Pages that one pass may take. */
  readonly pagesMax?: number | undefined;
}

/** What the manual says of `windows.lookback`. */
const LOOKBACK_MS = 15 * MINUTE_MS;

/** A kind of source, ready for the list in index.ts. */
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
    /** @throws ConfigError when baseUrl is no address to append a path to */
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

/** Long over: for a question whose answer does not matter. */
const PAST_SECOND: Span = { from: epochMs(Date.UTC(2020, 0, 1)), to: epochMs(Date.UTC(2020, 0, 1) + SECOND_MS) };

/** The API of one account, as its definition says how to ask it. */
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

  function requestFor(question: Question): HttpRequest {
    const { path, query = {}, headers, body } = definition.request(question, settings);
    const url = new URL(`${baseUrl}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    // A question only reads, although it may be a POST.
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
    /** The least that can be asked for. */
    smallest: (span: Span) => requestFor({ ...span, limit: 1, cursor: undefined, part: undefined }),
    /** A request of the source's own. */
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
 * What the source asks first, then one question to the log, because nothing else shows the right to read it; and the clocks.
 * Each request is made once: someone is waiting.
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
  // A minute that is over for sure: the question itself, which may leave an event, is not in it.
  const minute = Math.floor(Date.now() / MINUTE_MS);
  const span: Span = { from: epochMs((minute - 3) * MINUTE_MS), to: epochMs((minute - 2) * MINUTE_MS) };
  try {
    const answer = await client.request({ ...smallest(span), retrySafe: false }, signal);
    const found = readAnswer(answer, answer.what).count > 0 ? "something" : "nothing";
    yield { state: "ok", what: `audit log: can be read, and has ${found} in ${formatSpan(span)}` };
  } catch (error) {
    yield failedFinding("audit log", error, signal);
    return;
  }
  if (check === undefined) yield clockFinding(client.clockOffsetMs(), lagMs);
}

/** The error that an answer stands for in this API; undefined for 2xx. */
function classifier({ reason: reasonIn, hints = {}, passing = [] }: Refusals = {}) {
  return (answer: HttpAnswer): ExporterError | undefined => {
    if (answer.status >= 200 && answer.status <= 299) return undefined;
    // Gateways in between answer with pages of their own.
    const reason = reasonIn?.(parsedJson(answer.body));
    const hint = hints[answer.status];
    const error = statusError(answer, { reason, hint: typeof hint === "function" ? hint(reason) : hint });
    if (error === undefined || !passing.includes(answer.status)) return error;
    return new TransientError("unavailable", error.message, { retryAfterMs: retryAfter(answer) });
  };
}

/**
 * A base URL without the slash at its end, which says nothing: the ledger tells sources apart by it.
 * @throws ConfigError when it is no address to append a path to
 */
function baseAddress(baseUrl: string, { hint, notIn }: AccountSettings<string, z.ZodRawShape>["baseUrl"]): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isPlain = url !== undefined && `${url.username}${url.password}${url.search}${url.hash}` === "";
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError("source: baseUrl is not an http or https address without user, query and fragment", { hint });
  }
  const address = url.href.replace(/\/+$/, "");
  if (notIn?.test(address) !== true) return address;
  throw new ConfigError("source: baseUrl ends in a path of the API, which is added to it", { hint });
}
