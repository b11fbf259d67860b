import type { IncomingHttpHeaders } from "node:http";
import { ProtocolError, RefusedError, TransientError, type ExporterError } from "../errors.ts";
import { parseRetryAfter, RETRY_AFTER_MAX_MS } from "./retry.ts";
import { instantFrom, type EpochMs, type InstantFormat } from "../time.ts";

/** One complete answer over HTTP. */
export interface HttpAnswer {
  /** The request, for messages: `GET /api/shared/v1/audit_events`. Never the query: it may contain names of people. */
  readonly what: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** When its head arrived, by our clock. */
  readonly receivedAt: EpochMs;
  /** The `Date` header: the server's clock, in whole seconds; undefined without one. */
  readonly date?: EpochMs | undefined;
  /** Where the answer asks to slow down: for how long. */
  readonly slowDownMs?: number | undefined;
}

/** How an API asks to slow down, besides by the status 429 and by `Retry-After`. */
export interface Throttling {
  /** Whether an answer with another status is a request to slow down. */
  readonly isThrottled?: ((answer: HttpAnswer) => boolean) | undefined;
  /** A header with the time of the next request: a number of seconds, or an instant. */
  readonly reset?: { readonly header: string; readonly format: InstantFormat | "seconds" } | undefined;
}

/** How long an answer asks to be left alone, in milliseconds, an hour at most; undefined when it does not ask to slow down. */
export function slowDownMs(answer: HttpAnswer, { isThrottled, reset }: Throttling = {}): number | undefined {
  if (answer.status !== 429 && isThrottled?.(answer) !== true) return undefined;
  return Math.max(retryAfter(answer), reset === undefined ? 0 : resetMs(answer, reset));
}

function resetMs(
  { headers, date, receivedAt }: HttpAnswer,
  { header, format }: NonNullable<Throttling["reset"]>,
): number {
  const text = String(headers[header] ?? "").trim();
  const nowMs = date ?? receivedAt;
  // `Retry-After` has its own forms of the first two: seconds, and an instant as a date.
  if (format === "seconds") return parseRetryAfter(/^\d/.test(text) ? text : undefined, nowMs);
  if (format === "iso") return parseRetryAfter(/^\d{4}-.*(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : undefined, nowMs);
  const instant = instantFrom(text, format);
  return instant === undefined ? 0 : Math.min(Math.max(instant - nowMs, 0), RETRY_AFTER_MAX_MS);
}

/** The most characters of a server's own text in a message. */
const TEXT_MAX_CHARS = 300;

/** What a source knows about a refusal beyond its status. */
export interface StatusDetails {
  /** The API's own explanation, from the body. */
  readonly reason?: string | undefined;
  readonly hint?: string | undefined;
}

/** The error for an answer other than 2xx, by the meaning of its status in HTTP; undefined for 2xx. */
export function statusError(answer: HttpAnswer, { reason, hint }: StatusDetails = {}): ExporterError | undefined {
  const { status } = answer;
  if (status >= 200 && status <= 299) return undefined;
  const message = `${answer.what}: HTTP ${status}${said(reason)}${requestId(answer)}`;
  if (answer.slowDownMs !== undefined) {
    return new TransientError("rate_limited", message, { hint, retryAfterMs: answer.slowDownMs });
  }
  const retryAfterMs = retryAfter(answer);
  switch (status) {
    case 400:
    case 422:
      return new RefusedError("bad_request", message, { hint });
    case 401:
      return new RefusedError("unauthorized", message, { hint });
    case 402:
    case 403:
      return new RefusedError("forbidden", message, { hint });
    case 404:
      return new RefusedError("not_found", message, { hint });
    case 407:
      return new TransientError("network", message, { hint: PROXY_HINT });
    case 408:
      return new TransientError("timeout", message, { hint, retryAfterMs });
    case 429:
      return new TransientError("rate_limited", message, { hint, retryAfterMs });
    default:
      if (status >= 500 && status <= 599) return new TransientError("unavailable", message, { hint, retryAfterMs });
      if (status >= 300 && status <= 399) return redirectError(answer, message);
      return new ProtocolError(message, { hint });
  }
}

/** How long the server asks to wait, in milliseconds. A date in `Retry-After` is compared with the server's own clock. */
export function retryAfter({ headers, date, receivedAt }: HttpAnswer): number {
  return parseRetryAfter(headers["retry-after"], date ?? receivedAt);
}

/** Text from outside, made safe for one line of a log. */
export function printable(text: string): string {
  const line = text.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  return line.length > TEXT_MAX_CHARS ? `${line.slice(0, TEXT_MAX_CHARS)}…` : line;
}

function said(reason: string | undefined): string {
  return reason === undefined || reason === "" ? "" : `: ${printable(reason)}`;
}

/** The request id, which the vendor's support needs. */
function requestId({ headers }: HttpAnswer): string {
  const id = headers["x-request-id"];
  return typeof id === "string" && /^[\w.:/+=-]{1,100}$/.test(id) ? ` (x-request-id ${id})` : "";
}

/** Only the origin of the new address is shown: its path and query can contain a ticket that grants access. */
function redirectError({ headers: { location = "" } }: HttpAnswer, message: string): RefusedError {
  const elsewhere = URL.canParse(location) ? ` to ${new URL(location).origin}` : "";
  const hint = "redirects are not followed, because the token must go nowhere else: set baseUrl to the final address";
  return new RefusedError("bad_request", `${message}: redirected${elsewhere}`, { hint });
}

/** What each timeout of the HTTP client waits for. */
const AWAITED: Readonly<Record<string, string>> = {
  lookup: "the address of the host",
  connect: "a connection",
  secureConnect: "the TLS handshake",
  response: "the head of the answer",
  socket: "the next bytes",
  request: "the whole answer",
};

const PROXY_FAILED = "EPROXY";
export const PROXY_HINT =
  "check HTTP_PROXY and HTTPS_PROXY (for HTTP 407: http://user:password@host:port), and NO_PROXY for hosts to reach directly";

/** What to do about an error code of Node; the first that matches. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [/^EPROXY$/, PROXY_HINT],
  [/ALTNAME/, "the server's certificate is for another host name: set baseUrl to a name that is in the certificate"],
  [/EXPIRED|NOT_YET_VALID/, "renew the server's certificate, or check the clock of this machine"],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/,
    "the server's certificate is not trusted: set caFile to a PEM file of the authority that issued it",
  ],
  [/ERR_SSL|EPROTO/, "the TLS handshake failed: check https:// and the port in baseUrl, and any proxy between"],
  [/^ENOTFOUND$/, "the host name is not known: check it in baseUrl, and check DNS"],
  [/^EAI_AGAIN$/, "the DNS server does not answer: check DNS on this machine"],
  [/^ECONNREFUSED$/, "no server listens at this address: check the host and port in baseUrl, and that the server runs"],
  [
    /^E(?:HOST|NET)UNREACH$/,
    "there is no route to the host: check the network, and set HTTPS_PROXY if it needs a proxy",
  ],
];
const CONNECT_HINT = "check the firewall, and set HTTPS_PROXY if this network needs a proxy";

/**
 * The error of a request without an answer, or with an incomplete one. The HTTP client's own error contains the whole
 * request, including the token, so only its text is kept, and `clean` removes secrets from that.
 */
export function networkError(what: string, thrown: unknown, clean: (text: string) => string): TransientError {
  const error = innermost(thrown);
  const code = typeof error.code === "string" ? error.code : "";
  const text = clean(printable(error.message));
  const cause = Object.assign(new Error(text), { code });
  if (error.name === "TimeoutError") {
    const awaited = AWAITED[error.event ?? ""] ?? "an answer";
    const hint = error.event === "connect" ? CONNECT_HINT : undefined;
    return new TransientError("timeout", `${what}: timed out waiting for ${awaited}`, { cause, hint });
  }
  const hint = HINTS.find(([pattern]) => pattern.test(code))?.[1];
  const message = `${what}: ${text.includes(code) ? text : `${text} (${code})`}`;
  return new TransientError("network", message, { cause, hint });
}

/**
 * A failure between us and a proxy, or a proxy that refused a tunnel; code `EPROXY`. The message names the proxy, because
 * otherwise the problem would be looked for at the target, and does not show its password.
 */
export function proxyError(proxy: URL, thrown: unknown): Error & { readonly code: string } {
  const { message } = innermost(thrown);
  return Object.assign(new Error(`proxy ${proxy.host}: ${message}`, { cause: thrown }), { code: PROXY_FAILED });
}

interface Failure {
  readonly name?: string | undefined;
  readonly message: string;
  readonly code?: unknown;
  readonly event?: string | undefined;
}

/** The error inside the client's own; of several (one for each address of a host), the first. */
function innermost(thrown: unknown): Failure {
  if (!(thrown instanceof Error)) return { message: String(thrown) };
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return innermost(thrown.errors[0]);
  const isFinal = thrown.name === "TimeoutError" || (thrown as Failure).code === PROXY_FAILED;
  const isOuter = thrown.cause instanceof Error && !isFinal;
  return isOuter ? innermost(thrown.cause) : thrown;
}
