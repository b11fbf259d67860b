import type { Format } from "../format.ts";
import { isPoison, type AuditEvent, type Source } from "../source.ts";
import { membersOf, stringOf } from "../json/members.ts";
import { parseInstant } from "../time.ts";
import { shortenedMembers } from "./shorten.ts";

/** The event as the API sent it: nothing is re-serialised, so the line is evidence. */
export function raw(source: Source): Format {
  return {
    name: "raw",
    suffix: "ndjson",
    line: ({ record }) => record,

    shorten(event, maxBytes) {
      if (event.record.length <= maxBytes) return event.record;
      const line = shortened(event, maxBytes);
      // What the source takes for the same event is one.
      const read = line && source.read(line);
      const isSame = read !== undefined && !isPoison(read) && sameEvent(read, event);
      return isSame ? line : undefined;
    },

    read: (line) => source.read(line),
  };
}

/** The members that say which event it is stay; `"truncated":true` comes behind all. */
function shortened(event: AuditEvent, maxBytes: number): Buffer | undefined {
  const members = membersOf(event.record.toString()) ?? [];
  let name = "truncated";
  while (members.some(({ key }) => key === name)) name = `_${name}`;
  const mark = `,"${name}":true}`;
  const rest = shortenedMembers(members, maxBytes - mark.length + 1, bytes, ({ value }) => {
    const text = stringOf(value);
    // Which members they are, only the source knows; what they say is known here.
    return text !== undefined && (text === event.id || text === event.key || parseInstant(text) === event.time);
  });
  return rest === undefined ? undefined : Buffer.from(rest.slice(0, -1) + mark);
}

const bytes = (text: string): number => Buffer.byteLength(text);

function sameEvent(one: AuditEvent, other: AuditEvent): boolean {
  return one.id === other.id && one.time === other.time && one.key === other.key;
}
