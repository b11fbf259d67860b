import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "../errors.ts";
import { epochMs, type EpochMs, type Span } from "../time.ts";
import type { Lateness } from "./audit-log.ts";
import { deliver } from "./delivery.ts";
import { deliveryFault, diceOf, replyFault, tooManyRequests, type FaultOptions } from "./faults.ts";
import { DEFAULT_SEED, historyOf } from "./history.ts";
import { slidingSecond } from "./limiter.ts";
import { pachca, type Access, type PachcaOptions } from "./pachca.ts";
import { prettyJson } from "./pretty.ts";
import { randomOf } from "./random.ts";
import { apiError, html, type Reply } from "./replies.ts";

export interface SimulatorOptions {
  /** Default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0: any free one. */
  readonly port?: number | undefined;
  /** Of the history, and of the faults. Default 1. */
  readonly seed?: number | undefined;
  /** Default 20,000. */
  readonly eventsPerDay?: number | undefined;
  /** All events of so many milliseconds share one instant. Default 1. */
  readonly tieMs?: number | undefined;
  /** What each answer waits at least. Default 0. */
  readonly latencyMs?: number | undefined;
  /** Beyond this many in any second: 429. Default 50, as the vendor's. */
  readonly requestsPerSecond?: number | undefined;
  /** The largest `limit`. Default 50, as the vendor's. */
  readonly pageLimit?: number | undefined;
  /** The token that is accepted. */
  readonly token?: string | undefined;
  /** Default: the two that the simulator has a use for. */
  readonly scopes?: readonly string[] | undefined;
  /** Each `GET /audit_events` becomes an event of the log, as with the vendor. Default true. */
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
  /** `old`: no `has_next`, no `prev_page`; the end is an answer without data. Default `current`. */
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
  /** What a configuration calls `baseUrl`. */
  readonly url: string;
  readonly port: number;
  /** All events of `span` as lines of JSON without newline, oldest first: what an export must hold. Items that `faults` poison are left out. */
  history(span: Span): Iterable<Buffer>;
  /** The items of `span` that `faults` poison, as they are sent. */
  poison(span: Span): Iterable<Buffer>;
  /** Requests so far. */
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

export const BASE_PATH = "/api/shared/v1";
export const DEFAULT_TOKEN = "simulated-token-of-nobody";
const DEFAULT_SCOPES = ["audit_events:read", "messages:create"];
const BODY_MAX_BYTES = 1024 * 1024;

/** Streams of numbers beside those of the history's cells, none of which is negative in our age. */
const FAULT_STREAM = -1;
const ID_STREAM = -2;

/** Starts an audit API on this machine that behaves like Pachca's. @throws ConfigError when it cannot listen there */
export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = "127.0.0.1", port = 0, seed = DEFAULT_SEED, latencyMs = 0, requestsPerSecond = 50 } = options;
  const faults: FaultOptions = { ...options.faults };
  const access: Access = { token: options.token ?? DEFAULT_TOKEN, scopes: options.scopes ?? DEFAULT_SCOPES };
  const random = randomOf(seed, FAULT_STREAM);
  const ids = randomOf(seed, ID_STREAM);
  const dice = diceOf(random);
  const api = pachca(historyOf({ ...options, seed }), withDefaults(options, seed), access, faults, dice, ids);
  const [received, admitted] = [slidingSecond(), slidingSecond()];
  const closing = new AbortController();
  let requests = 0;
  let { clockOffsetMs = 0 } = options;
  const clock = (): EpochMs => epochMs(Date.now() + clockOffsetMs);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const started = performance.now();
    requests++;
    received.count(started);
    const waitMs = admitted.waitMs(started, requestsPerSecond);
    if (waitMs === 0) admitted.count(started);
    const { pathname, searchParams: search } = new URL(request.url ?? "/", "http://simulator");
    const path = pathname.startsWith(`${BASE_PATH}/`) ? pathname.slice(BASE_PATH.length) : "";
    const body = await bodyOf(request);
    if (latencyMs > 0) await sleep(latencyMs, undefined, { signal: closing.signal });

    const now = clock();
    const { method = "", headers, socket } = request;
    const answer = (): Reply => {
      if (waitMs > 0) return tooManyRequests(faults, now, Math.ceil(waitMs / 1000));
      if (body === undefined) return apiError(413, "base", null, "too_long", "The body is too long");
      const { authorization, "user-agent": userAgent } = headers;
      const ask = { method, path, search, authorization, userAgent, address: socket.remoteAddress ?? "", body };
      return replyFault(faults, path, dice, random, now) ?? api.answer(ask, now);
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

  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${address.port}${BASE_PATH}`,
    port: address.port,
    access,
    faults,
    messages: api.messages,
    *history(span) {
      for (const { record, poison } of api.items(span, clock())) if (!poison) yield record;
    },
    *poison(span) {
      for (const { record, poison } of api.items(span, clock())) if (poison) yield record;
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
      await end(server);
    },
  };
}

type Serve = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

function serverOf(serve: Serve, closing: AbortSignal): Server {
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      // Closing, or the client has gone: nobody is left to answer. Anything else is a bug, and must be seen.
      if (closing.aborted || response.destroyed) response.destroy();
      else deliver(response, html(500, `simulator: ${String(error)}`), {}, undefined);
    });
  });
  // Longer than a client keeps an idle connection: one that is closed as it is used again looks like an outage.
  server.keepAliveTimeout = 60_000;
  return server;
}

async function end(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}

/** Resolves to where it listens. */
async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  try {
    await once(server.listen(port, host), "listening");
  } catch (cause) {
    const hint = "choose another port, or 0 for any free one";
    throw new ConfigError(`start the simulator on ${host}:${port}: ${(cause as Error).message}`, { hint, cause });
  }
  return server.address() as AddressInfo;
}

function withDefaults(options: SimulatorOptions, seed: number): PachcaOptions {
  const { pageLimit = 50, recordReads = true, contract = "current", endInclusive = true } = options;
  const { lateness, since, until } = options;
  return { seed, pageLimit, recordReads, contract, endInclusive, lateness, since, until };
}

/** The whole body, or undefined when it is too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_MAX_BYTES) chunks.push(chunk);
  }
  return bytes <= BODY_MAX_BYTES ? Buffer.concat(chunks) : undefined;
}

const isJson = (reply: Reply): boolean => reply.headers?.["content-type"]?.startsWith("application/json") === true;
