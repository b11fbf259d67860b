import type { ClientRequest, Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { Got } from "got";
import type { Place, RequestBudget } from "./budget.ts";
import { ExporterError, ProtocolError, RefusedError, TransientError } from "../errors.ts";
import type { ObserveStream } from "../fact.ts";
import { networkError, retryAfter, statusError, type HttpAnswer } from "./errors.ts";
import { DEFAULT_RETRY, withRetry, type RetryPolicy } from "./retry.ts";
import { epochMs, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";

export type { HttpAnswer } from "./errors.ts";

/** Every way in which a request can stall has an end. In milliseconds. */
export interface HttpTimeouts {
  /** For the name, the connection and the TLS handshake, each. */
  readonly connectMs: number;
  /** From the end of the request to the head of the answer. */
  readonly headMs: number;
  /** Between two pieces of the body. */
  readonly idleMs: number;
  /** For all of it, the wait for a free connection included. */
  readonly wholeMs: number;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = {
  connectMs: 10 * SECOND_MS,
  headMs: MINUTE_MS,
  idleMs: 2 * MINUTE_MS,
  wholeMs: 10 * MINUTE_MS,
};

/** An answer is held in memory, and a page of a few dozen events is never this large. Counted after decompression. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;

/** Which answers are errors, and which. */
export type Classify = (answer: HttpAnswer) => ExporterError | undefined;

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** Whether asking twice does no harm: only then is it tried again. */
  readonly retrySafe: boolean;
  /** As the API means its statuses; without it, as HTTP does. */
  readonly classify?: Classify | undefined;
}

export interface HttpClientOptions {
  readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
  readonly userAgent: string;
  /** Shared by all who use the same account. */
  readonly budget: RequestBudget;
  /** The bearer token, asked for at each request: it may have been replaced. */
  readonly secret: () => string;
  readonly observe: ObserveStream;
  readonly timeouts?: HttpTimeouts | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly now?: (() => EpochMs) | undefined;
}

/** HTTP with one account of one API: within its budget, with its token, tried again as the policy says. */
export interface HttpClient {
  /**
   * One answer, whole, that `classify` finds nothing wrong with. Redirects are not followed.
   * @throws what `classify` makes of the last answer
   * @throws TransientError when there was no whole answer: no connection, a timeout, a body cut half-way
   * @throws ProtocolError when the answer is larger than any page can be
   * @throws the signal's reason when aborted
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;

  /**
   * How far the server's clock is ahead of ours, by the `Date` of its last answer; undefined when none came within the last
   * `maxAgeMs`. `Date` is cut to the second and was on its way, so this is never more than the truth, and less by a second
   * at most, plus the time on the way: whoever takes the earlier of two clocks is on the safe side.
   */
  clockOffsetMs(maxAgeMs?: number): number | undefined;
}

export function httpClient(options: HttpClientOptions): HttpClient {
  const { budget, observe, secret, retry = DEFAULT_RETRY } = options;
  const exchange = exchanger(options);
  let clocks: { readonly offsetMs: number; readonly readAtMs: number } | undefined;

  /** One request on the wire, and its answer, good or bad. */
  async function send(request: HttpRequest, token: string, signal: AbortSignal): Promise<HttpAnswer> {
    // Loaded before a place is taken, so that the place is used at once.
    await loadGot();
    const place = await budget.take(signal, options);
    const startedMs = performance.now();
    const answer = await exchange(request, token, place, signal);
    const durationMs = performance.now() - startedMs;
    observe({ kind: "request.done", status: answer.status, durationMs, bytes: answer.body.length });
    if (answer.date !== undefined) {
      clocks = { offsetMs: answer.date - answer.receivedAt, readAtMs: performance.now() };
    }
    if (answer.status === 429) budget.throttled(retryAfter(answer), startedMs);
    return answer;
  }

  async function attempt(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const token = secret();
    let answer = await send(request, token, signal);
    // A token that was replaced meanwhile deserves one more try; the same one would only be refused again.
    const fresh = answer.status === 401 ? secret() : token;
    if (fresh !== token) answer = await send(request, fresh, signal);
    const isRedirect = answer.status >= 300 && answer.status <= 399;
    const error = (isRedirect ? statusError : (request.classify ?? statusError))(answer);
    if (error !== undefined) throw error;
    return answer;
  }

  return {
    request(request, signal) {
      if (!request.retrySafe) return attempt(request, signal);
      return withRetry(
        () => attempt(request, signal),
        retry,
        signal,
        (error, count, delayMs) => observe({ kind: "retrying", stage: "fetch", error, attempt: count, delayMs }),
      );
    },
    clockOffsetMs(maxAgeMs = Infinity) {
      if (clocks === undefined || performance.now() - clocks.readAtMs > maxAgeMs) return undefined;
      return clocks.offsetMs;
    },
  };
}

type Exchange = (request: HttpRequest, token: string, place: Place, signal: AbortSignal) => Promise<HttpAnswer>;

/** Sends requests, each once, and reads their answers to the end. */
function exchanger({ agents, userAgent, timeouts = DEFAULT_TIMEOUTS, now = clock }: HttpClientOptions): Exchange {
  const settings = {
    agent: { ...agents },
    // One layer retries, and it is not this one. A redirect would carry the token to wherever it points.
    retry: { limit: 0 },
    followRedirect: false,
    throwHttpErrors: false,
    decompress: true,
    timeout: {
      lookup: timeouts.connectMs,
      connect: timeouts.connectMs,
      secureConnect: timeouts.connectMs,
      response: timeouts.headMs,
      socket: timeouts.idleMs,
      request: timeouts.wholeMs,
    },
  };

  return async ({ method, url, headers, body }, token, place, signal) => {
    const what = `${method} ${url.pathname}`;
    const authorization = bearer(token, what);
    const got = await loadGot();
    signal.throwIfAborted();
    const stream = got.stream(url, {
      ...settings,
      method,
      headers: { accept: "application/json", ...headers, "user-agent": userAgent, authorization },
      ...(body === undefined ? {} : { body }),
    });
    // Not the client's own option: its listener outlives the request, and an abort an hour later would be thrown by nobody's
    // stream, token and all.
    const abort = () => stream.destroy(new Error("aborted"));
    signal.addEventListener("abort", abort, { once: true });
    // What befalls the connection once the answer is here, or the request has failed, concerns nobody any more.
    stream.on("error", () => undefined);
    stream.once("request", (request: ClientRequest) => request.once("finish", () => place.sent()));
    let receivedAt = now();
    stream.once("response", () => {
      place.answered();
      receivedAt = now();
    });
    // Head and body under one try: a body cut half-way is an outage like any other, never a short answer.
    try {
      const bytes = await readBody(stream, what);
      const { response } = stream;
      if (response === undefined) throw new TransientError("network", `${what}: no answer`);
      const { statusCode: status } = response;
      const date = dateOf(response.headers.date);
      const answer = { what, status, headers: response.headers, receivedAt, date };
      // Some servers repeat the request when they refuse it, and a refusal's text goes into messages.
      return { ...answer, body: status >= 400 ? without(token, bytes) : bytes };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ExporterError) throw error;
      throw networkError(what, error, (text) => text.replaceAll(token, "***").replaceAll(url.search || token, ""));
    } finally {
      signal.removeEventListener("abort", abort);
    }
  };
}

async function readBody(stream: AsyncIterable<unknown>, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX_BYTES) throw new ProtocolError(`${what}: the answer is larger than ${BODY_MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** The header that carries the token: the only place where it goes. */
function bearer(token: string, what: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return `Bearer ${token}`;
  const problem = token === "" ? "is empty" : "has a character that no token has, such as a space or a newline";
  throw new RefusedError("unauthorized", `${what}: not sent: the token ${problem}`, {
    hint: "check the token in the configuration, or the file that holds it",
  });
}

function without(token: string, bytes: Buffer): Buffer {
  if (!bytes.includes(token)) return bytes;
  return Buffer.from(bytes.toString("latin1").replaceAll(token, "***"), "latin1");
}

function dateOf(header: string | undefined): EpochMs | undefined {
  const ms = Date.parse(header ?? "");
  return Number.isNaN(ms) ? undefined : epochMs(ms);
}

const clock = () => epochMs(Date.now());

/** Loaded with the first request: commands that make none start without its 160 ms. */
async function loadGot(): Promise<Got> {
  const { got } = await import("got");
  return got;
}
