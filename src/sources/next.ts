import LinkHeader from "http-link-header";
import { ProtocolError } from "../errors.ts";
import { stringOf, valueAt } from "../json/members.ts";

/** Where an answer has its reference to the next page. Paths are dotted. */
export type Next = CursorNext | { readonly url: string } | { readonly link: string };

/** A cursor in the answer. Without `more`, a missing cursor or null is the end. */
interface CursorNext {
  readonly cursor: string;
  /** `integer`: the cursor may also be a JSON integer, kept digit by digit. */
  readonly format?: "text" | "integer";
  /**
   * A boolean: whether there are more pages. If true, the cursor is required. If an answer does not have it (an older version of
   * the API), an empty page or a repeated cursor is the end.
   */
  readonly more?: string;
  /** An empty string is the end, too. */
  readonly emptyCursor?: "ends";
  /** A page without records is the end, whatever its cursor. */
  readonly emptyPage?: "ends";
}

/** The parts of an answer that decide about the next page. */
export interface Ending {
  /** The answer's JSON without its records, compact. */
  readonly envelope: Buffer;
  /** The number of records. */
  readonly count: number;
  readonly link: string | undefined;
  /** The URL of the request. */
  readonly url: URL;
  /** The cursor of the request. */
  readonly cursor: string | undefined;
  /** The start of error messages. */
  readonly where: string;
}

/**
 * The cursor of the next page, or its URL; undefined at the end. A URL must have the origin of the request, because the token is
 * sent to it.
 * @throws ProtocolError when the reference to the next page is missing or not valid
 */
export function nextIn(next: Next, ending: Ending): string | undefined {
  if ("link" in next) return sameOrigin(linked(next.link, ending), ending);
  if ("cursor" in next) return nextCursor(next, ending);
  const { envelope, where } = ending;
  const value = valueAt(envelope, next.url) ?? "null";
  const url = stringOf(value);
  if (url === undefined && value !== "null")
    throw new ProtocolError(`${where}: the answer's ${next.url} is not a string`);
  return sameOrigin(url, ending);
}

function nextCursor(next: CursorNext, { envelope, count, cursor, where }: Ending): string | undefined {
  const { cursor: path, more, format = "text" } = next;
  const flag = more === undefined ? undefined : flagAt(more, envelope, where);
  if (flag === false || (count === 0 && next.emptyPage === "ends")) return undefined;
  const value = valueAt(envelope, path) ?? "null";
  const found = stringOf(value) ?? (format === "integer" && /^-?\d+$/.test(value) ? value : undefined);
  if (more !== undefined && flag === undefined && (count === 0 || (cursor !== undefined && found === cursor))) {
    return undefined;
  }
  if (found !== undefined && found !== "") return found;
  if (more !== undefined) throw new ProtocolError(`${where}: there are more pages, but ${path} is missing`);
  if (value === "null" || (found === "" && next.emptyCursor === "ends")) return undefined;
  throw new ProtocolError(`${where}: the answer's ${path} is not ${format === "text" ? "a string" : "an integer"}`);
}

/** Undefined when the answer does not have it. A missing parent is an error: the answer may be truncated. */
function flagAt(path: string, envelope: Buffer, where: string): boolean | undefined {
  const parent = path.split(".").slice(0, -1).join(".");
  if (parent !== "" && valueAt(envelope, parent)?.startsWith("{") !== true) {
    throw new ProtocolError(`${where}: the answer has no ${parent}`);
  }
  const value = valueAt(envelope, path);
  if (value === undefined || value === "true") return value === undefined ? undefined : true;
  if (value === "false") return false;
  throw new ProtocolError(`${where}: ${path} is neither true nor false`);
}

/** RFC 8288: a header may have several links, an answer several headers, and a URL commas. */
function linked(rel: string, { link, where }: Ending): string | undefined {
  if (link === undefined) return undefined;
  try {
    return LinkHeader.parse(link).rel(rel)[0]?.uri;
  } catch (cause) {
    throw new ProtocolError(`${where}: the Link header cannot be read`, { cause });
  }
}

function sameOrigin(sent: string | undefined, { url, where }: Ending): string | undefined {
  if (sent === undefined) return undefined;
  const next = URL.canParse(sent, url.href) ? new URL(sent, url) : undefined;
  if (next === undefined) throw new ProtocolError(`${where}: the next page's address is not a URL`);
  if (next.origin === url.origin) return next.href;
  throw new ProtocolError(`${where}: the next page is at another origin, ${next.origin}; the token is not sent there`);
}
