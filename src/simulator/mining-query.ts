import { epochMs, parseInstant, type EpochMs, type Span } from "../time.ts";
import { AFTER_ALL, BEFORE_ALL } from "./cursor.ts";
import { miningError, type Reply } from "./replies.ts";
import type { Position } from "./timeline.ts";

/** What a query asks for. */
export interface MiningQuery {
  /** Of true times: the least inclusive, the greatest exclusive. */
  readonly span: Span;
  readonly limit: number;
  /** What the page before ended with; undefined for the first page. */
  readonly after: Position | undefined;
}

export interface MiningQueryRules {
  readonly pageLimit: number;
  /** What a continuation stands for; undefined when it is not ours, or too old. */
  readonly afterOf: (continuation: string) => Position | undefined;
}

type Members = Readonly<Record<string, unknown>>;

const DEFAULT_LIMIT = 128;

/** Reads the body of a query, or says what is wrong with it. Members that nobody knows are passed over. */
export function parseMiningQuery(body: Buffer, { pageLimit, afterOf }: MiningQueryRules): MiningQuery | Reply {
  let asked: unknown;
  try {
    asked = JSON.parse(body.toString());
  } catch {
    return bad("the body is not JSON");
  }
  if (!isMembers(asked)) return bad("the body is not an object");
  const { limit = DEFAULT_LIMIT, continuation, filter = {} } = asked;
  if (!Number.isInteger(limit) || Number(limit) < 1 || Number(limit) > pageLimit) {
    return bad(`limit is not a whole number from 1 to ${pageLimit}`);
  }
  const timestamp = isMembers(filter) ? (filter["timestamp"] ?? {}) : undefined;
  if (!isMembers(timestamp)) return bad("filter.timestamp is not an object");
  const from = instant(timestamp, "minimum") ?? BEFORE_ALL.time;
  if (typeof from !== "number") return from;
  const to = instant(timestamp, "maximum") ?? AFTER_ALL.time;
  if (typeof to !== "number") return to;
  const after = typeof continuation === "string" ? afterOf(continuation) : undefined;
  if (continuation !== undefined && after === undefined) return bad("continuation is invalid or has expired");
  return { span: { from, to: epochMs(to) }, limit: Number(limit), after };
}

function instant(timestamp: Members, name: string): EpochMs | Reply | undefined {
  const text = timestamp[name];
  if (text === undefined) return undefined;
  const parsed = typeof text === "string" ? parseInstant(text) : undefined;
  return parsed ?? bad(`filter.timestamp.${name} is not a date and time`);
}

const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const bad = (what: string): Reply => miningError(400, `400 Bad Request: ${what}`);
