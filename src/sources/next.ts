import LinkHeader from "http-link-header";
import { ProtocolError } from "../errors.ts";
import { stringOf, valueAt } from "../json/members.ts";

/** How an answer says where the next page is, or that there is none. Paths are dotted. */
export type Next = CursorNext | { readonly url: string } | { readonly link: string };

/** A cursor in the answer. Without `more`, the end is where there is none, or null. */
interface CursorNext {
  readonly cursor: string;
  /** `integer`: also a JSON integer, whose digits as sent are the cursor. */
  readonly format?: "text" | "integer";
  /**
   * A flag, true or false. Where it is true, a cursor must be there. Where an answer lacks it (an older version), the end is an
   * empty page, or the same cursor again.
   */
  readonly more?: string;
  /** An empty text is the end as well. */
  readonly emptyCursor?: "ends";
  /** A page without records is the end, whatever the cursor. */
  readonly emptyPage?: "ends";
}

/** What of an answer says where the next page is. */
export interface Ending {
  /** The answer's JSON without its records, compact. */
  readonly envelope: Buffer;
  /** How many records it had. */
  readonly count: number;
  readonly link: string | undefined;
  /** What was asked for. */
  readonly url: URL;
  /** The cursor that was asked with. */
  readonly cursor: string | undefined;
  /** Begins the message of an error. */
  readonly where: string;
}

/**
 * The cursor of the next page, or its URL; undefined at the end. A URL never leaves the origin of the one asked: the token would
 * go along.
 * @throws ProtocolError when the answer does not say where the next page is
 */
export function nextIn(next: Next, ending: Ending): string | undefined {
  if ("link" in next) return sameOrigin(linked(next.link, ending), ending);
  if ("cursor" in next) return nextCursor(next, ending);
  const { envelope, where } = ending;
  const value = valueAt(envelope, next.url) ?? "null";
  const url = stringOf(value);
  if (url === undefined && value !== "null")
    throw new ProtocolError(`${where}: the answer's ${next.url} is not a text`);
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
  if (more !== undefined) throw new ProtocolError(`${where}: more is to come, but ${path} is missing`);
  if (value === "null" || (found === "" && next.emptyCursor === "ends")) return undefined;
  throw new ProtocolError(`${where}: the answer's ${path} is not ${format === "text" ? "a text" : "an integer"}`);
}

/** Undefined where the answer does not have it. Without what it is part of, an answer may be a short one. */
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

/** RFC 8288: a header may hold several links, and an answer several headers; a URL may hold commas. */
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
