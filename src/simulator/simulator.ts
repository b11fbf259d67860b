import { setMaxListeners } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import { indented, type Access, type Api, type Reply } from "./api.ts";
import { communicationsMiningHistory } from "./communications-mining-history.ts";
import { communicationsMiningApi, type CommunicationsMiningApi } from "./communications-mining.ts";
import { faultInjector, type DeliveryFault, type FaultInjector, type FaultOptions } from "./faults.ts";
import { bodyOf, closeServer, deliver, listen, serverOf } from "./http-server.ts";
import { slidingSecond, type SlidingSecond } from "./limiter.ts";
import { pachcaHistory } from "./pachca-history.ts";
import { pachcaApi, type PachcaApi } from "./pachca.ts";
import { randomOf, type Random } from "./random.ts";
import { DEFAULT_SEED, type Lateness } from "./timeline.ts";

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** The seed of the histories and of the faults. Default 1. */
  readonly seed?: number | undefined;
  /** The approximate number of events a day in each history. Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events within this time have the same instant. Default 1. */
  readonly tieMs?: number | undefined;
  /** The least delay of an answer. Default 0. */
  readonly latencyMs?: number | undefined;
  /** The limit of each API; more requests in any second get 429. Default 50, like Pachca's. */
  readonly requestsPerSecond?: number | undefined;
  /** The largest `limit`. Default 50, like Pachca's. For Communications Mining it is at least 1,000. */
  readonly pageLimit?: number | undefined;
  /** The token that both APIs accept. Default: `DEFAULT_TOKEN`. */
  readonly token?: string | undefined;
  /** The scopes of the token. Default: the two that the simulator checks. */
  readonly scopes?: readonly string[] | undefined;
  /** Each `GET /audit_events` adds an event to the log, like Pachca's. Default true. */
  readonly recordReads?: boolean | undefined;
  /** How far the simulated clock is ahead of this machine's (negative: behind). Default 0. */
  readonly clockOffsetMs?: number | undefined;
  readonly lateness?: Lateness | undefined;
  readonly faults?: FaultOptions | undefined;
  /** The start of the history. Default: 90 days ago, the vendor's retention. */
  readonly since?: EpochMs | undefined;
  /** The end of the history, exclusive. Default: none. */
  readonly until?: EpochMs | undefined;
  /** Indented JSON. Default false. */
  readonly pretty?: boolean | undefined;
  /** Of Pachca. `old`: without `has_next` and `prev_page`; the end is an answer without data. Default `current`. */
  readonly contract?: "current" | "old" | undefined;
  /** Pachca: whether events at `end_time` are included. Default true. */
  readonly endInclusive?: boolean | undefined;
  /** Called for each request when it is answered or dropped. */
  readonly observe?: ((access: AccessLine) => void) | undefined;
}

/** One request, for an access log. It never contains the token. */
export interface AccessLine {
  readonly method: string;
  readonly path: string;
  /** 0: no answer was sent. */
  readonly status: number;
  /** The size of the whole body, even when a fault cut it. */
  readonly bytes: number;
  readonly durationMs: number;
  readonly fault: string | undefined;
}

export interface Simulator {
  /** The `baseUrl` for a `pachca` source. */
  readonly url: string;
  readonly port: number;
  /** The lines that an export of `span` must contain, oldest first: JSON without a newline. Poison of `faults` is left out. */
  history(span: Span): Iterable<Buffer>;
  /** The items of `span` that `faults` made invalid, as they are sent. */
  poison(span: Span): Iterable<Buffer>;
  /** The audit API of Communications Mining. */
  readonly mining: {
    /** The `baseUrl` for a `communications-mining` source. */
    readonly url: string;
    /**
     * The lines that an export of `span` must contain: JSON without a newline, each event with its `_resources`. They are
     * ordered, and belong to a span, by the time that the API shows, then by id.
     */
    history(span: Span): Iterable<Buffer>;
  };
  /** Requests so far, to both APIs. */
  readonly requests: number;
  /** The highest number of requests in any second, with refused ones. */
  readonly peakRequestsPerSecond: number;
  /** The accepted bodies of `POST /messages` so far. */
  readonly messages: readonly unknown[];
  /** The accepted token and its scopes. They may be changed. */
  readonly access: Access;
  /** What goes wrong. It may be changed. */
  readonly faults: FaultOptions;
  /** How far the simulated clock is ahead of this machine's. It may be changed. */
  clockOffsetMs: number;
  /** Closes all connections. */
  close(): Promise<void>;
}

const PACHCA_PATH = "/api/shared/v1";
/** The path of a tenant in UiPath's cloud. In the older form nothing is before `/api`. */
const MINING_PATH = "/acme/production/reinfer_";
const MINING = new RegExp(`^(?:${MINING_PATH})?/api/v1(/.*)$`);
const MINING_PAGE_LIMIT = 1000;
export const DEFAULT_TOKEN = "simulated-token-of-nobody";
const DEFAULT_SCOPES = ["audit_events:read", "messages:create"];

/** Streams of random numbers. Those of the cells of histories are not negative. */
const FAULT_STREAM = -1;
const ID_STREAM = -2;

/** Starts a server with an audit API like Pachca's and one like that of Communications Mining. @throws ConfigError when it cannot listen */
export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, seed = DEFAULT_SEED } = options;
  const access: Access = { token: options.token ?? DEFAULT_TOKEN, scopes: options.scopes ?? DEFAULT_SCOPES };
  const faults = faultInjector({ ...options.faults }, randomOf(seed, FAULT_STREAM));
  const ids = randomOf(seed, ID_STREAM);
  const apis = apisOf({ ...options, seed }, access, faults, ids);
  const received = slidingSecond();
  const closing = new AbortController();
  // Each waiting request adds a listener.
  setMaxListeners(0, closing.signal);
  let requests = 0;
  let { clockOffsetMs = 0 } = options;
  const clock = (): EpochMs => epochMs(Date.now() + clockOffsetMs);

  const answer = responder(options, apis, faults, clock);
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    requests++;
    received.count(started);
    const { reply, now, path, fault } = await answer(request, closing.signal);
    deliver(response, reply, { date: new Date(now).toUTCString(), "x-request-id": ids.uuid() }, fault);
    const durationMs = performance.now() - started;
    const status = fault === "reset" || fault === "silence" ? 0 : reply.status;
    options.observe?.({ method: request.method ?? "", path, status, bytes: reply.body.length, durationMs, fault });
  }

  const server = serverOf(serve, closing.signal);
  const address = await listen(server, host, port);
  const root = `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;

  return {
    url: `${root}${PACHCA_PATH}`,
    port: address.port,
    mining: { url: `${root}${MINING_PATH}`, history: (span) => apis.mining.lines(span, clock()) },
    access,
    faults: faults.options,
    messages: apis.pachca.messages,
    *history(span) {
      for (const { record, poison } of apis.pachca.items(span, clock())) if (!poison) yield record;
    },
    *poison(span) {
      for (const { record, poison } of apis.pachca.items(span, clock())) if (poison) yield record;
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
      await closeServer(server);
    },
  };
}

interface Answered {
  readonly reply: Reply;
  /** When it was answered, on the simulated clock. */
  readonly now: EpochMs;
  readonly path: string;
  readonly fault: DeliveryFault | undefined;
}

/** Answers requests with the APIs, the rate limit, the delay and the faults. */
function responder(
  { latencyMs = 0, requestsPerSecond = 50, pretty = false }: SimulatorOptions,
  apis: Apis,
  faults: FaultInjector,
  clock: () => EpochMs,
): (request: IncomingMessage, closing: AbortSignal) => Promise<Answered> {
  const endpointOf = endpoints(apis);
  return async (request, closing) => {
    const { pathname, searchParams: search } = new URL(request.url ?? "/", "http://simulator");
    const { api, path, admitted } = endpointOf(pathname);
    const arrived = performance.now();
    const waitMs = admitted.waitMs(arrived, requestsPerSecond);
    if (waitMs === 0) admitted.count(arrived);
    const body = await bodyOf(request);
    if (latencyMs > 0) await sleep(latencyMs, undefined, { signal: closing });

    const now = clock();
    const { method = "", headers, socket } = request;
    const { authorization, "user-agent": userAgent } = headers;
    const address = socket.remoteAddress ?? "";
    const answer = (): Reply => {
      if (waitMs > 0) return faults.tooManyRequests(api.refuse, now, Math.ceil(waitMs / 1000));
      if (body === undefined) return api.refuse(413);
      const asked = { method, path, search, authorization, userAgent, address, body };
      return faults.replyFault(path, api.refuse, now) ?? api.answer(asked, now);
    };
    const reply = answer();
    const fault = waitMs > 0 ? undefined : faults.deliveryFault(path);
    return { reply: pretty ? indented(reply) : reply, now, path: pathname, fault };
  };
}

/** Where a request goes: the API, the path below its base URL, and the requests that it got in the last second. */
interface Endpoint {
  readonly api: Api;
  readonly path: string;
  readonly admitted: SlidingSecond;
}

function endpoints({ pachca, mining }: Apis): (pathname: string) => Endpoint {
  const [toPachca, toMining] = [slidingSecond(), slidingSecond()];
  return (pathname) => {
    const path = MINING.exec(pathname)?.[1];
    if (path !== undefined) return { api: mining, path, admitted: toMining };
    const isBelow = pathname.startsWith(`${PACHCA_PATH}/`);
    return { api: pachca, path: isBelow ? pathname.slice(PACHCA_PATH.length) : "", admitted: toPachca };
  };
}

interface Apis {
  readonly pachca: PachcaApi;
  readonly mining: CommunicationsMiningApi;
}

function apisOf(
  options: SimulatorOptions & { readonly seed: number },
  access: Access,
  faults: FaultInjector,
  ids: Random,
): Apis {
  const { seed, pageLimit = 50, recordReads = true, contract = "current", endInclusive = true } = options;
  const { lateness, since, until } = options;
  const both = { seed, lateness, since, until };
  const pachcaOptions = { ...both, pageLimit, recordReads, contract, endInclusive };
  const miningOptions = { ...both, pageLimit: Math.max(pageLimit, MINING_PAGE_LIMIT) };
  return {
    pachca: pachcaApi(pachcaHistory(options), pachcaOptions, access, faults, ids),
    mining: communicationsMiningApi(communicationsMiningHistory(options), miningOptions, access, faults),
  };
}
