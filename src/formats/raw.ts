import { isPoison, type AuditEvent } from "../source.ts";
import { membersOf, stringOf } from "../json/members.ts";
import { parseInstant } from "../time.ts";
import { defineFormat } from "./define.ts";
import { shortenedMembers } from "./shorten.ts";

/** The event's JSON as the API sent it. It is not serialized again, so the line is evidence. */
export const raw = defineFormat({
  name: "raw",
  about: "the event's JSON as the API sent it",
  suffix: "ndjson",
  contentType: "application/x-ndjson",
  lineStart: undefined,
  read: undefined,
  lines: (source) => ({
    line: ({ record }) => record,

    shorten(event, maxBytes) {
      if (event.record.length <= maxBytes) return event.record;
      const line = shortened(event, maxBytes);
      // The source must still read it as the same event.
      const found = line && source.read(line);
      const isSame = found !== undefined && !isPoison(found) && sameEvent(found, event);
      return isSame ? line : undefined;
    },
  }),
});

/** The members that identify the event stay as they are. `"truncated":true` is added at the end. */
function shortened(event: AuditEvent, maxBytes: number): Buffer | undefined {
  const members = membersOf(event.record.toString()) ?? [];
  let name = "truncated";
  while (members.some(({ key }) => key === name)) name = `_${name}`;
  const mark = `,"${name}":true}`;
  const rest = shortenedMembers(members, maxBytes - mark.length + 1, bytes, ({ value }) => {
    const text = stringOf(value);
    // Only the source knows which members identify the event. Here, they are found by their values.
    return text !== undefined && (text === event.id || text === event.key || parseInstant(text) === event.time);
  });
  return rest === undefined ? undefined : Buffer.from(rest.slice(0, -1) + mark);
}

const bytes = (text: string): number => Buffer.byteLength(text);

function sameEvent(one: AuditEvent, other: AuditEvent): boolean {
  return one.id === other.id && one.time === other.time && one.key === other.key;
}
