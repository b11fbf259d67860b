import type { ClientRequest, Agent as HttpAgent } from "node:http";
import type { Agent as HttpsAgent } from "node:https";
import type { Got } from "got";
import type { Place, RequestBudget } from "./budget.ts";
import { ExporterError, ProtocolError, RefusedError, TransientError } from "../errors.ts";
import type { ObserveStream } from "../fact.ts";
import { networkError, slowDownMs, statusError, type HttpAnswer, type Throttling } from "./errors.ts";
import { DEFAULT_RETRY, withRetry, type RetryPolicy } from "./retry.ts";
import { epochMs, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";

export type { HttpAnswer } from "./errors.ts";

/** Limits for each way in which a request can stall, in milliseconds. */
export interface HttpTimeouts {
  /** For each of DNS lookup, connection and TLS handshake. */
  readonly connectMs: number;
  /** From the end of the request to the head of the answer. */
  readonly headMs: number;
  /** Between two chunks of the body. */
  readonly idleMs: number;
  /** For everything, including the wait for a free connection. */
  readonly wholeMs: number;
}

export const DEFAULT_TIMEOUTS: HttpTimeouts = {
  connectMs: 10 * SECOND_MS,
  headMs: MINUTE_MS,
  idleMs: 2 * MINUTE_MS,
  wholeMs: 10 * MINUTE_MS,
};

/** An answer is kept in memory, and a page of a few dozen events is never this large. Counted after decompression. */
const BODY_MAX_BYTES = 256 * 1024 * 1024;

/** Converts an answer to an error; undefined for a good answer. */
export type Classify = (answer: HttpAnswer) => ExporterError | undefined;

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** Whether sending it twice does no harm: only then is it retried. */
  readonly retrySafe: boolean;
  /** The meaning of statuses in this API; by default, their meaning in HTTP. */
  readonly classify?: Classify | undefined;
}

export interface HttpClientOptions {
  readonly agents: { readonly http: HttpAgent; readonly https: HttpsAgent };
  readonly userAgent: string;
  /** Shared by all clients of the same account. */
  readonly budget: RequestBudget;
  /** The token, asked for at each request: it may have been replaced. */
  readonly secret: () => string;
  /** The headers that carry the token; without it, `Authorization: Bearer`. */
  readonly authorize?: ((token: string) => Readonly<Record<string, string>>) | undefined;
  readonly throttling?: Throttling | undefined;
  readonly observe: ObserveStream;
  readonly timeouts?: HttpTimeouts | undefined;
  readonly retry?: RetryPolicy | undefined;
  readonly now?: (() => EpochMs) | undefined;
}

/** HTTP for one account of one API: paced by its budget, authorized, and retried by the policy. */
export interface HttpClient {
  /**
   * One complete answer that `classify` accepts. Redirects are not followed.
   * @throws the error that `classify` returns for the last answer
   * @throws TransientError when there was no complete answer: no connection, a timeout, a body cut half-way
   * @throws ProtocolError when the answer is larger than any page can be
   * @throws the signal's reason when aborted
   */
  request(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;

  /**
   * How many milliseconds the server's clock is ahead of ours, by the `Date` of its last answer; undefined when none came
   * within the last `maxAgeMs`. `Date` has whole seconds and takes time to arrive, so this is never too high. It is too low by
   * up to one second plus the travel time: taking the earlier of two clocks is safe.
   */
  clockOffsetMs(maxAgeMs?: number): number | undefined;
}

export function httpClient(options: HttpClientOptions): HttpClient {
  const { budget, observe, secret, retry = DEFAULT_RETRY } = options;
  const exchange = exchanger(options);
  let clocks: { readonly offsetMs: number; readonly readAtMs: number } | undefined;

  /** Sends one request, and returns its answer, good or bad. */
  async function send(request: HttpRequest, token: string, signal: AbortSignal): Promise<HttpAnswer> {
    // Loaded before a place in the budget is taken, so that the place is used immediately.
    await loadGot();
    const place = await budget.take(signal, options);
    const startedMs = performance.now();
    const received = await exchange(request, token, place, signal);
    const answer: HttpAnswer = { ...received, slowDownMs: slowDownMs(received, options.throttling) };
    const durationMs = performance.now() - startedMs;
    observe({ kind: "request.done", status: answer.status, durationMs, bytes: answer.body.length });
    if (answer.date !== undefined) {
      clocks = { offsetMs: answer.date - answer.receivedAt, readAtMs: performance.now() };
    }
    if (answer.slowDownMs !== undefined) budget.throttled(answer.slowDownMs, startedMs);
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

/** Sends each request once, and reads its answer to the end. */
function exchanger({
  agents,
  userAgent,
  authorize = bearer,
  timeouts = DEFAULT_TIMEOUTS,
  now = clock,
}: HttpClientOptions): Exchange {
  const settings = {
    agent: { ...agents },
    // Only one layer retries, and it is not this one. A redirect would send the token to another server.
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
    assertSendable(token, what);
    const authorization = authorize(token);
    const secrets = secretsIn(authorize, token);
    const got = await loadGot();
    signal.throwIfAborted();
    const stream = got.stream(url, {
      ...settings,
      method,
      headers: { accept: "application/json", ...headers, "user-agent": userAgent, ...authorization },
      ...(body === undefined ? {} : { body }),
    });
    // Not by the client's own option: its listener outlives the request, so an abort an hour later would be thrown, with the token
    // in it, by a stream that no one handles.
    const abort = () => stream.destroy(new Error("aborted"));
    signal.addEventListener("abort", abort, { once: true });
    // Errors of the connection after the answer, or after the request has failed, no longer matter.
    stream.on("error", () => undefined);
    stream.once("request", (request: ClientRequest) => request.once("finish", () => place.sent()));
    let receivedAt = now();
    stream.once("response", () => {
      place.answered();
      receivedAt = now();
    });
    // Head and body are read in one try: a body cut half-way is an outage, never a short answer.
    try {
      const bytes = await readBody(stream, what);
      const { response } = stream;
      if (response === undefined) throw new TransientError("network", `${what}: no answer`);
      const { statusCode: status } = response;
      const date = dateOf(response.headers.date);
      const answer = { what, status, headers: response.headers, receivedAt, date };
      // Some servers repeat the request in their refusal, and the text of a refusal goes into messages.
      return { ...answer, body: status >= 400 ? secrets.reduce(without, bytes) : bytes };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ExporterError) throw error;
      throw networkError(what, error, (text) =>
        secrets.reduce((clean, secret) => clean.replaceAll(secret, "***"), text).replaceAll(url.search || token, ""),
      );
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

/**
 * The token, and what its headers make of it, such as `Basic` does. What is the same with any token is not secret: the number of a
 * version would be cut out of every message.
 */
function secretsIn(authorize: (token: string) => Readonly<Record<string, string>>, token: string): string[] {
  const wordsWith = (secret: string) => Object.values(authorize(secret)).flatMap((value) => value.split(" "));
  const common = new Set(["", ...wordsWith("another")]);
  return [token, ...wordsWith(token).filter((word) => !common.has(word))];
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** The headers that carry the token are the only place where it goes. */
function assertSendable(token: string, what: string): void {
  if (/^[\x21-\x7e]+$/.test(token)) return;
  const problem = token === "" ? "is empty" : "has a character that no token has, such as a space or a newline";
  throw new RefusedError("unauthorized", `${what}: not sent: the token ${problem}`, {
    hint: "check the token in the configuration, or the file that holds it",
  });
}

function without(bytes: Buffer, secret: string): Buffer {
  if (!bytes.includes(secret)) return bytes;
  return Buffer.from(bytes.toString("latin1").replaceAll(secret, "***"), "latin1");
}

function dateOf(header: string | undefined): EpochMs | undefined {
  const ms = Date.parse(header ?? "");
  return Number.isNaN(ms) ? undefined : epochMs(ms);
}

const clock = () => epochMs(Date.now());

/** Loaded with the first request: commands that make none start 160 ms sooner. */
async function loadGot(): Promise<Got> {
  const { got } = await import("got");
  return got;
}
