import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import type { Access, Api, Ask } from "./api.ts";
import { deliver } from "./delivery.ts";
import { deliveryFault, diceOf, replyFault, tooManyRequests, type Dice, type FaultOptions } from "./faults.ts";
import { historyOf } from "./history.ts";
import type { Lateness } from "./lateness.ts";
import { slidingSecond, type SlidingSecond } from "./limiter.ts";
import { miningHistoryOf } from "./mining-history.ts";
import { mining, type Mining } from "./mining.ts";
import { pachca, type Pachca } from "./pachca.ts";
import { prettyJson } from "./pretty.ts";
import { randomOf, type Random } from "./random.ts";
import type { Reply } from "./replies.ts";
import { bodyOf, endServer, listen, serverOf } from "./server.ts";
import { DEFAULT_SEED } from "./timeline.ts";

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** Of the histories, and of the faults. Default 1. */
  readonly seed?: number | undefined;
  /** In each history. Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events of so many milliseconds share one instant. Default 1. */
  readonly tieMs?: number | undefined;
  /** What each answer waits at least. Default 0. */
  readonly latencyMs?: number | undefined;
  /** Beyond this many in any second, of each API: 429. Default 50, as Pachca's. */
  readonly requestsPerSecond?: number | undefined;
  /** The largest `limit`. Default 50, as Pachca's. Communications Mining gives pages of up to 1,000 at least. */
  readonly pageLimit?: number | undefined;
  /** The token that is accepted, by both APIs. */
  readonly token?: string | undefined;
  /** Default: the two that the simulator has a use for. */
  readonly scopes?: readonly string[] | undefined;
  /** Each `GET /audit_events` becomes an event of the log, as with Pachca. Default true. */
  readonly recordReads?: boolean | undefined;
  /** How far the simulated clock is ahead of this machine's (negative: behind). Default 0. */
  readonly clockOffsetMs?: number | undefined;
  readonly lateness?: Lateness | undefined;
  readonly faults?: FaultOptions | undefined;
  /** There is history from here. Default: the vendor's retention, 90 days before now. */
  readonly since?: EpochMs | undefined;
  /** There is history up to here, exclusive. Default: no end but now. */
  readonly until?: EpochMs | undefined;
  /** Indented JSON. Default false. */
  readonly pretty?: boolean | undefined;
  /** Pachca's. `old`: no `has_next`, no `prev_page`; the end is an answer without data. Default `current`. */
  readonly contract?: "current" | "old" | undefined;
  /** Whether `end_time` itself belongs to what is asked for. Default true. */
  readonly endInclusive?: boolean | undefined;
  /** Told of each request when it is answered or dropped. */
  readonly observe?: ((access: AccessLine) => void) | undefined;
}

/** One request, for an access log. Never holds the token. */
export interface AccessLine {
  readonly method: string;
  readonly path: string;
  /** 0: no answer was given. */
  readonly status: number;
  /** Of the whole body, also where a fault let only a part of it go. */
  readonly bytes: number;
  readonly durationMs: number;
  readonly fault: string | undefined;
}

export interface Simulator {
  /** What the configuration of a `pachca` source calls `baseUrl`. */
  readonly url: string;
  readonly port: number;
  /** All events of `span` as lines of JSON without newline, oldest first: what an export must hold. Items that `faults` poison are left out. */
  history(span: Span): Iterable<Buffer>;
  /** The items of `span` that `faults` poison, as they are sent. */
  poison(span: Span): Iterable<Buffer>;
  /** The log of Communications Mining. */
  readonly mining: {
    /** What the configuration of a `communications-mining` source calls `baseUrl`. */
    readonly url: string;
    /**
     * What an export must hold of `span`: lines of JSON without newline, each event with its `_resources`, by the time that the
     * API shows, then by id. An event belongs to the span in which it shows.
     */
    history(span: Span): Iterable<Buffer>;
  };
  /** Requests so far, to both APIs. */
  readonly requests: number;
  /** The most requests that any second held, refused ones included. */
  readonly peakRequestsPerSecond: number;
  /** Bodies of `POST /messages` so far. */
  readonly messages: readonly unknown[];
  /** The token that is accepted and its scopes, from now on. */
  readonly access: Access;
  /** What goes wrong from now on. */
  readonly faults: FaultOptions;
  /** The simulated clock may be set while the simulator runs. */
  clockOffsetMs: number;
  /** Ends all connections. */
  close(): Promise<void>;
}

const PACHCA_PATH = "/api/shared/v1";
/** As a tenant of UiPath's cloud has it; the older form has nothing before `/api`. */
const MINING_PATH = "/acme/production/reinfer_";
const MINING = new RegExp(`^(?:${MINING_PATH})?/api/v1(/.*)$`);
const MINING_PAGE_LIMIT = 1000;
export const DEFAULT_TOKEN = "simulated-token-of-nobody";
const DEFAULT_SCOPES = ["audit_events:read", "messages:create"];

/** Streams of numbers beside those of the history's cells, none of which is negative in our age. */
const FAULT_STREAM = -1;
const ID_STREAM = -2;

/** Starts an audit API on this machine that behaves like Pachca's and like Communications Mining's. @throws ConfigError when it cannot listen there */
export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, seed = DEFAULT_SEED, latencyMs = 0, requestsPerSecond = 50 } = options;
  const faults: FaultOptions = { ...options.faults };
  const access: Access = { token: options.token ?? DEFAULT_TOKEN, scopes: options.scopes ?? DEFAULT_SCOPES };
  const random = randomOf(seed, FAULT_STREAM);
  const ids = randomOf(seed, ID_STREAM);
  const dice = diceOf(random);
  const { ofPachca, ofMining } = apisOf({ ...options, seed }, access, faults, dice, ids);
  const endpointOf = endpoints(ofPachca, ofMining);
  const received = slidingSecond();
  const closing = new AbortController();
  // Each request that waits listens to it.
  setMaxListeners(0, closing.signal);
  let requests = 0;
  let { clockOffsetMs = 0 } = options;
  const clock = (): EpochMs => epochMs(Date.now() + clockOffsetMs);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    requests++;
    received.count(started);
    const { pathname, searchParams: search } = new URL(request.url ?? "/", "http://simulator");
    const { api, path, admitted } = endpointOf(pathname);
    const waitMs = admitted.waitMs(started, requestsPerSecond);
    if (waitMs === 0) admitted.count(started);
    const body = await bodyOf(request);
    if (latencyMs > 0) await sleep(latencyMs, undefined, { signal: closing.signal });

    const now = clock();
    const { method = "", headers, socket } = request;
    const answer = (): Reply => {
      if (waitMs > 0) return tooManyRequests(faults, api.refuse, now, Math.ceil(waitMs / 1000));
      if (body === undefined) return api.refuse(413);
      const { authorization, "user-agent": userAgent } = headers;
      const ask: Ask = { method, path, search, authorization, userAgent, address: socket.remoteAddress ?? "", body };
      return replyFault(faults, path, api.refuse, dice, random, now) ?? api.answer(ask, now);
    };
    const truth = answer();
    const reply = options.pretty === true && isJson(truth) ? { ...truth, body: prettyJson(truth.body) } : truth;
    const fault = waitMs > 0 ? undefined : deliveryFault(faults, path, dice);
    deliver(response, reply, { date: new Date(now).toUTCString(), "x-request-id": ids.uuid() }, fault);
    const durationMs = performance.now() - started;
    const status = fault === "reset" || fault === "silence" ? 0 : reply.status;
    options.observe?.({ method, path: pathname, status, bytes: reply.body.length, durationMs, fault });
  }

  const server = serverOf(serve, closing.signal);
  const address = await listen(server, host, port);
  const root = `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;

  return {
    url: `${root}${PACHCA_PATH}`,
    port: address.port,
    mining: { url: `${root}${MINING_PATH}`, history: (span) => ofMining.lines(span, clock()) },
    access,
    faults,
    messages: ofPachca.messages,
    *history(span) {
      for (const { record, poison } of ofPachca.items(span, clock())) if (!poison) yield record;
    },
    *poison(span) {
      for (const { record, poison } of ofPachca.items(span, clock())) if (poison) yield record;
    },
    get requests() {
      return requests;
    },
    get peakRequestsPerSecond() {
      return received.peak();
    },
    get clockOffsetMs() {
      return clockOffsetMs;
    },
    set clockOffsetMs(offset) {
      clockOffsetMs = offset;
    },
    async close() {
      closing.abort();
      await endServer(server);
    },
  };
}

/** What a request goes to: an API, the path below its base, and who was let through to it in the last second. */
interface Endpoint {
  readonly api: Api;
  readonly path: string;
  readonly admitted: SlidingSecond;
}

function endpoints(ofPachca: Api, ofMining: Api): (pathname: string) => Endpoint {
  const [toPachca, toMining] = [slidingSecond(), slidingSecond()];
  return (pathname) => {
    const path = MINING.exec(pathname)?.[1];
    if (path !== undefined) return { api: ofMining, path, admitted: toMining };
    const isBelow = pathname.startsWith(`${PACHCA_PATH}/`);
    return { api: ofPachca, path: isBelow ? pathname.slice(PACHCA_PATH.length) : "", admitted: toPachca };
  };
}

function apisOf(
  options: SimulatorOptions & { readonly seed: number },
  access: Access,
  faults: FaultOptions,
  dice: Dice,
  ids: Random,
): { readonly ofPachca: Pachca; readonly ofMining: Mining } {
  const { seed, pageLimit = 50, recordReads = true, contract = "current", endInclusive = true } = options;
  const { lateness, since, until } = options;
  const both = { seed, lateness, since, until };
  const pachcaOptions = { ...both, pageLimit, recordReads, contract, endInclusive };
  const miningOptions = { ...both, pageLimit: Math.max(pageLimit, MINING_PAGE_LIMIT) };
  return {
    ofPachca: pachca(historyOf(options), pachcaOptions, access, faults, dice, ids),
    ofMining: mining(miningHistoryOf(options), miningOptions, access, faults, dice),
  };
}

const isJson = (reply: Reply): boolean => reply.headers?.["content-type"]?.startsWith("application/json") === true;
