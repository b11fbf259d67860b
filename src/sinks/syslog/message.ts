import type { Format } from "../../format.ts";
import type { Vocabulary } from "../../vocabulary.ts";
import type { AuditEvent } from "../../source.ts";

export interface MessageOptions {
  /** The stream's name, for the structured data. */
  readonly stream: string;
  /** 0 to 23. */
  readonly facility: number;
  /** Printable ASCII without spaces (PRINTUSASCII of RFC 5424), at most 255 characters. */
  readonly hostname: string;
  /** The same, at most 48 characters. */
  readonly appName: string;
  /** The structured data is named `event@<enterpriseId>`. */
  readonly enterpriseId: number;
  /** The limit of a whole message in bytes, without framing. */
  readonly maxMessageBytes: number;
  /** What to do with an event whose message would be larger. */
  readonly oversize: "truncate" | "quarantine";
}

/** A message of RFC 5424, and the part of it that is the event's line, as sent. */
export interface Message {
  readonly octets: Buffer;
  readonly line: Buffer;
  readonly isTruncated: boolean;
}

export interface Messages {
  /** Why the event has no message within the limit; undefined if it has one. */
  refuses(event: AuditEvent): string | undefined;
  /** The message of an event that is not refused. */
  of(event: AuditEvent, sequence: number): Message;
}

/** A message without its sequence, which comes between `head` and `tail`. */
interface Draft {
  readonly head: string;
  readonly tail: string;
  readonly line: Buffer;
}

/** Every sequence counts with its length in the ledger's names, so whether an event fits does not depend on its window. */
const SEQUENCE_OCTETS = 12;

const WHOLE = '"] ';
const TRUNCATED = '" truncated="true"] ';

/** Events as messages of RFC 5424, section 6: without a BOM, with the event's own time, and with its key as MSGID. */
export function messages(options: MessageOptions, format: Format, vocabulary: Vocabulary): Messages {
  const { stream, facility, hostname, appName, enterpriseId, maxMessageBytes, oversize } = options;
  // `refuses` is called shortly before `of`: the draft is kept until then, and is freed with the event.
  const drafts = new WeakMap<AuditEvent, Draft>();

  const ofStream = `stream="${paramValue(stream)}" sequence="`;

  function headOf({ id, time, key, record }: AuditEvent): string {
    const pri = facility * 8 + severityOf(vocabulary.kind(key, record).severity);
    // Always with three decimals and Z: QRadar, among others, reads no other form.
    const instant = new Date(time).toISOString();
    const data = `event@${enterpriseId} id="${paramValue(id)}" ${ofStream}`;
    return `<${pri}>1 ${instant} ${hostname} ${appName} - ${messageId(key)} [${data}`;
  }

  function draftOf(event: AuditEvent): Draft | undefined {
    const head = headOf(event);
    const room = maxMessageBytes - Buffer.byteLength(head) - SEQUENCE_OCTETS;
    const line = format.line(event);
    if (line.length + WHOLE.length <= room) return { head, tail: WHOLE, line };
    if (oversize === "quarantine" || room <= TRUNCATED.length) return undefined;
    const shortened = format.shorten(event, room - TRUNCATED.length);
    return shortened && { head, tail: TRUNCATED, line: shortened };
  }

  return {
    refuses(event) {
      const draft = draftOf(event);
      if (draft === undefined) return `larger than sink.maxMessageBytes (${maxMessageBytes})`;
      drafts.set(event, draft);
      return undefined;
    },

    of(event, sequence) {
      const draft = drafts.get(event) ?? draftOf(event);
      if (draft === undefined)
        throw new Error(`event ${event.id}: it has no message within the limit, and must not be sent`);
      const { head, tail, line } = draft;
      const before = `${head}${sequence}${tail}`;
      const lineAt = Buffer.byteLength(before);
      const octets = Buffer.allocUnsafe(lineAt + line.length);
      octets.write(before);
      line.copy(octets, lineAt);
      return { octets, line: octets.subarray(lineAt), isTruncated: tail === TRUNCATED };
    },
  };
}

/** The syslog severity for one of CEF: 6 informational, 5 notice, 4 warning, 2 critical. */
function severityOf(severity: number): number {
  if (severity <= 3) return 6;
  if (severity <= 6) return 5;
  return severity <= 8 ? 4 : 2;
}

/** A MSGID has at most 32 printable ASCII characters and no spaces. */
function messageId(key: string): string {
  return key.replaceAll(/[^\x21-\x7e]/g, "").slice(0, 32) || "-";
}

/** RFC 5424, section 6.3.3: only these three are escaped. Control characters are legal, but break receivers: we replace them. */
function paramValue(text: string): string {
  // Nearly every id is a UUID. Two replacements that find nothing would take longer than the rest of the message.
  if (!/["\\\]\p{Cc}]/u.test(text)) return text;
  return text.replaceAll(/["\\\]]/g, String.raw`\$&`).replaceAll(/\p{Cc}/gu, "\ufffd");
}
