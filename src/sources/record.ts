import { isUtf8 } from "node:buffer";
import type { AuditEvent, Poison } from "../source.ts";
import { isObject, parsedJson } from "../json/parse.ts";
import { parseInstant } from "../time.ts";

/** What an API calls the three members that make a record an event. */
export interface EventMembers {
  readonly id: string;
  readonly time: string;
  readonly key: string;
}

/** A record, judged and parsed; `value` has no members where it is no object. */
export interface Reading {
  readonly item: AuditEvent | Poison;
  readonly value: Readonly<Record<string, unknown>>;
}

/** Reads one record. Without an id, a time or valid JSON it is poison; a kind of event not known, or none, is not. */
export function readRecord(record: Buffer, members: EventMembers): Reading {
  const value = parsedJson(record);
  if (value === undefined) return { item: { reason: isUtf8(record) ? "not JSON" : "not UTF-8", record }, value: {} };
  if (!isObject(value)) return { item: { reason: "not an object", record }, value: {} };
  return { item: itemOf(record, value, members), value };
}

/**
 * The event in a record whose members were read without parsing it; undefined where only the parser can tell.
 * @param strings its id, time and key
 */
export function plainEvent(record: Buffer, strings: readonly string[] | undefined): AuditEvent | undefined {
  if (strings === undefined) return undefined;
  const id = strings[0] ?? "";
  const time = parseInstant(strings[1] ?? "");
  const key = strings[2] ?? "";
  if (id === "" || id.includes("\ufffd") || time === undefined || !isUtf8(record)) return undefined;
  return { id, time, key, record };
}

function itemOf(record: Buffer, value: Readonly<Record<string, unknown>>, members: EventMembers): AuditEvent | Poison {
  const [sentId, sentTime, key] = [value[members.id], value[members.time], value[members.key]];
  // A letter that was not UTF-8 reads as U+FFFD: such an id is not the one that was sent.
  const id = typeof sentId === "string" && sentId !== "" && !sentId.includes("\ufffd") ? sentId : undefined;
  const time = typeof sentTime === "string" ? parseInstant(sentTime) : undefined;
  const poison = (reason: string): Poison => ({ reason, record, id, time });
  if (!isUtf8(record)) return poison("not UTF-8");
  if (id === undefined) return poison(`no ${members.id}`);
  if (time === undefined) return poison(`${members.time} is not an instant`);
  return { id, time, key: typeof key === "string" ? key : "", record };
}
