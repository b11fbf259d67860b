import { createHash } from "node:crypto";
import { isUtf8 } from "node:buffer";
import type { AuditEvent, EventMembers, Poison } from "../source.ts";
import { instantFrom, type EpochMs } from "../time.ts";
import { stringOf, valueAt } from "./members.ts";
import { isObject, parsedJson } from "./parse.ts";
import { compact } from "./record.ts";

/**
 * Reads one record, as a source sends it or as a line of the `raw` format holds it. It needs nothing but the names of the
 * members, so it also reads the archive of a source that is not known here. A record without an id, a time or valid JSON is
 * poison. A record of an unknown kind, or of none, is an event.
 */
export function eventReader(members: EventMembers): (record: Buffer) => AuditEvent | Poison {
  return (record) => {
    const value = parsedJson(record);
    if (value === undefined) return { reason: isUtf8(record) ? "not JSON" : "not UTF-8", record };
    if (!isObject(value)) return { reason: "not an object", record };
    const json = compact(record).toString();
    const id = idIn(json, record, members);
    const time = timeIn(json, members);
    const poison = (reason: string): Poison => ({ reason, record, id, time });
    if (!isUtf8(record)) return poison("not UTF-8");
    if (id === undefined) return poison(`no ${members.id.map(({ path }) => path).join(" or ")}`);
    if (time === undefined) return poison(`${members.time.map(({ path }) => path).join(" or ")} is not an instant`);
    const kind = first(
      json,
      members.kind.map((path) => ({ path })),
    )?.value;
    return { id, time, key: (kind === undefined ? undefined : stringOf(kind)) ?? "", record };
  };
}

function idIn(json: string, record: Buffer, { id, idElse }: EventMembers): string | undefined {
  const found = first(json, id);
  if (found === undefined) return idElse === "content" ? createHash("sha256").update(record).digest("hex") : undefined;
  if (found.format === "integer") return /^-?\d+$/.test(found.value) ? found.value : undefined;
  const text = stringOf(found.value);
  // A character that was not UTF-8 reads as U+FFFD: such an id is not the one that was sent.
  return text === "" || text?.includes("\ufffd") === true ? undefined : text;
}

function timeIn(json: string, { time }: EventMembers): EpochMs | undefined {
  const found = first(json, time);
  if (found === undefined) return undefined;
  const text = stringOf(found.value);
  // A number is no instant of ISO 8601, whatever its digits; an epoch may be sent as text.
  return found.format === "iso" && text === undefined ? undefined : instantFrom(text ?? found.value, found.format);
}

/** Of the first of these members that the record has, the value as JSON text. Null counts as not there. */
function first<Member extends { readonly path: string }>(
  json: string,
  members: readonly Member[],
): (Member & { readonly value: string }) | undefined {
  for (const member of members) {
    const value = valueAt(json, member.path);
    if (value !== undefined && value !== "null") return { ...member, value };
  }
  return undefined;
}
