import { ProtocolError } from "../../errors.ts";
import { printable } from "../../http/errors.ts";
import type { HttpRequest } from "../../http/client.ts";
import { scanArrays } from "../../json/arrays.ts";
import { formatInstant, type Span } from "../../time.ts";
import { RESOURCE_LISTS, resourcesIn, type Resources } from "./resources.ts";

const EVENTS = "audit_events";

export interface AuditQuery {
  /** Events an answer. */
  readonly limit: number;
  /** From inclusive, to exclusive, by the API's clock. */
  readonly span: Span;
  /** Where the answer before ended. */
  readonly continuation?: string | undefined;
}

/** A question to the log. The filter goes along with each continuation, as the vendor's own client does it. */
export function queryRequest(
  baseUrl: string,
  { limit, span, continuation }: AuditQuery,
): Pick<HttpRequest, "method" | "url" | "headers" | "body"> {
  const timestamp = { minimum: formatInstant(span.from), maximum: formatInstant(span.to) };
  return {
    method: "POST",
    url: new URL(`${baseUrl}/api/v1/audit_events/query`),
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ limit, filter: { timestamp }, continuation }),
  };
}

export interface QueryAnswer {
  /** Each event's JSON as received, compact. */
  readonly events: readonly Buffer[];
  readonly resources: Resources;
  /** Undefined at the end. */
  readonly continuation: string | undefined;
}

/**
 * Reads an answer with the HTTP status 200.
 * @throws ProtocolError when it is none, or a refusal in its place
 */
export function readAnswer(body: Buffer, what: string): QueryAnswer {
  const { envelope, arrays } = scanArrays(body, [EVENTS, ...RESOURCE_LISTS], what);
  const { status, message, continuation } = JSON.parse(envelope) as Readonly<Record<string, unknown>>;
  if (status !== "ok") {
    const said = typeof message === "string" ? `: ${printable(message)}` : "";
    throw new ProtocolError(`${what}: HTTP 200, but the answer's status is ${printable(String(status))}${said}`);
  }
  const events = arrays.get(EVENTS);
  if (events === undefined) throw new ProtocolError(`${what}: the answer has no array "${EVENTS}"`);
  return { events, resources: resourcesIn(arrays), continuation: continuationOf(continuation, what) };
}

/** Null says what absence says: the vendor's own client reads the two alike. Anything else that is no text says nothing. */
function continuationOf(sent: unknown, what: string): string | undefined {
  if (sent === undefined || sent === null) return undefined;
  if (typeof sent === "string" && sent !== "") return sent;
  throw new ProtocolError(`${what}: the answer's continuation is not a text`);
}
