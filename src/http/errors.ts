import type { IncomingHttpHeaders } from "node:http";
import { ProtocolError, RefusedError, TransientError, type ExporterError } from "../errors.ts";
import { parseRetryAfter } from "./retry.ts";
import type { EpochMs } from "../time.ts";

/** One answer over HTTP, whole. */
export interface HttpAnswer {
  /** What was asked, for messages: `GET /api/shared/v1/audit_events`. Never the query: it may hold names of people. */
  readonly what: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** By our clock, when its head arrived. */
  readonly receivedAt: EpochMs;
  /** By the server's clock, in whole seconds; undefined when it did not say. */
  readonly date?: EpochMs | undefined;
}

/** The longest piece of another side's text in a message. */
const TEXT_MAX_CHARS = 300;

/** What a source knows about a refusal beyond its status. */
export interface StatusDetails {
  /** The API's own words, from the body. */
  readonly reason?: string | undefined;
  readonly hint?: string | undefined;
}

/** The error that an answer other than 2xx stands for, as HTTP means it; undefined for 2xx. */
export function statusError(answer: HttpAnswer, { reason, hint }: StatusDetails = {}): ExporterError | undefined {
  const { status } = answer;
  if (status >= 200 && status <= 299) return undefined;
  const message = `${answer.what}: HTTP ${status}${said(reason)}${requestId(answer)}`;
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

/** How long the other side asks to be left alone. Its own clock is the one that its date is meant by. */
export function retryAfter({ headers, date, receivedAt }: HttpAnswer): number {
  return parseRetryAfter(headers["retry-after"], date ?? receivedAt);
}

/** Text from outside, fit for one line of a log. */
export function printable(text: string): string {
  const line = text.replaceAll(/[\p{C}\s]+/gu, " ").trim();
  return line.length > TEXT_MAX_CHARS ? `${line.slice(0, TEXT_MAX_CHARS)}…` : line;
}

function said(reason: string | undefined): string {
  return reason === undefined || reason === "" ? "" : `: ${printable(reason)}`;
}

/** What the vendor's support will ask for. */
function requestId({ headers }: HttpAnswer): string {
  const id = headers["x-request-id"];
  return typeof id === "string" && /^[\w.:/+=-]{1,100}$/.test(id) ? ` (x-request-id ${id})` : "";
}

/** Of the place it points to only the origin is shown: the rest may be a ticket that lets one in. */
function redirectError({ headers: { location = "" } }: HttpAnswer, message: string): RefusedError {
  const elsewhere = URL.canParse(location) ? ` to ${new URL(location).origin}` : "";
  const hint = `redirects are not followed, so that the token goes nowhere else: set baseUrl to the address itself`;
  return new RefusedError("bad_request", `${message}: redirected${elsewhere}`, { hint });
}

/** What each of the HTTP client's timeouts waits for. */
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

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/;
const NOT_TLS = /ERR_SSL|EPROTO/;

/**
 * A request that was not answered, or half. The HTTP client's error holds the whole request, token included, so nothing of
 * it is kept but text: `clean` takes secrets out of that.
 */
export function networkError(what: string, thrown: unknown, clean: (text: string) => string): TransientError {
  const error = innermost(thrown);
  const code = typeof error.code === "string" ? error.code : "";
  const text = clean(printable(error.message));
  const cause = Object.assign(new Error(text), { code });
  if (error.name === "TimeoutError") {
    const awaited = AWAITED[error.event ?? ""] ?? "an answer";
    return new TransientError("timeout", `${what}: timed out waiting for ${awaited}`, { cause });
  }
  const message = `${what}: ${text.includes(code) ? text : `${text} (${code})`}`;
  return new TransientError("network", message, { cause, hint: networkHint(code) });
}

/**
 * A failure between us and a proxy, or a proxy that refused a tunnel; code `EPROXY`. The message names the proxy, because
 * otherwise the problem would be looked for at the target, and does not show its password.
 */
export function proxyError(proxy: URL, thrown: unknown): Error & { readonly code: string } {
  const { message } = innermost(thrown);
  return Object.assign(new Error(`proxy ${proxy.host}: ${message}`, { cause: thrown }), { code: PROXY_FAILED });
}

function networkHint(code: string): string | undefined {
  if (code === PROXY_FAILED) return PROXY_HINT;
  if (CERTIFICATE.test(code)) return "the server's certificate is not trusted: name its authority's PEM file in caFile";
  if (NOT_TLS.test(code))
    return "the TLS handshake failed: check https:// and the port in baseUrl, and any proxy between";
  if (code === "ENOTFOUND") return "the host is not known: check its name in baseUrl, and DNS";
  return undefined;
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
