import type { Format } from "../../format.ts";
import type { Vocabulary } from "../../vocabulary.ts";
import type { AuditEvent } from "../../source.ts";

export interface MessageOptions {
  /** Name of the stream, for the structured data. */
  readonly stream: string;
  /** 0 to 23. */
  readonly facility: number;
  /** Of PRINTUSASCII, as RFC 5424 has it: at most 255 characters, and at most 48. */
  readonly hostname: string;
  readonly appName: string;
  /** The structured data is named `event@<enterpriseId>`. */
  readonly enterpriseId: number;
  /** Of the whole message, in octets, without framing. */
  readonly maxMessageBytes: number;
  /** What becomes of an event whose message would be larger. */
  readonly oversize: "truncate" | "quarantine";
}

/** A message of RFC 5424, and the part of it that is the format's line, as sent. */
export interface Message {
  readonly octets: Buffer;
  readonly line: Buffer;
  readonly isTruncated: boolean;
}

export interface Messages {
  /** Why the event has no message within the limit; undefined where it has one. */
  refuses(event: AuditEvent): string | undefined;
  /** The message of an event that is not refused. */
  of(event: AuditEvent, sequence: number): Message;
}

/** A message but for its sequence, which stands between `head` and `tail`. */
interface Draft {
  readonly head: string;
  readonly tail: string;
  readonly line: Buffer;
}

/**
 * A sequence counts as long as the ledger's names have it, whatever it is: so an event fits, or does not, whenever it is sent.
 */
const SEQUENCE_OCTETS = 12;

const WHOLE = '"] ';
const TRUNCATED = '" truncated="true"] ';

/** Events as messages of RFC 5424, section 6: no BOM, the event's own time, the event's key as MSGID. */
export function messages(options: MessageOptions, format: Format, vocabulary: Vocabulary): Messages {
  const { stream, facility, hostname, appName, enterpriseId, maxMessageBytes, oversize } = options;
  // An event is asked about shortly before it is sent: what was made of it then is not made again, and goes with it.
  const drafts = new WeakMap<AuditEvent, Draft>();

  const ofStream = `stream="${paramValue(stream)}" sequence="`;

  function headOf({ id, time, key, record }: AuditEvent): string {
    const pri = facility * 8 + severityOf(vocabulary.kind(key, record).severity);
    // Three digits and Z, always: QRadar, among others, reads no other form.
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
        throw new Error(`event ${event.id}: its message was refused, and is to be sent all the same`);
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

/** Syslog's severity for CEF's: informational, notice, warning, critical. */
function severityOf(severity: number): number {
  if (severity <= 3) return 6;
  if (severity <= 6) return 5;
  return severity <= 8 ? 4 : 2;
}

/** MSGID has at most 32 characters, none of them a space or from outside of ASCII. */
function messageId(key: string): string {
  return key.replaceAll(/[^\x21-\x7e]/g, "").slice(0, 32) || "-";
}

/** RFC 5424, 6.3.3: these three are escaped, and nothing else. Control characters are legal there, and break receivers. */
function paramValue(text: string): string {
  // Nearly every id is a UUID: replacing nothing twice would take longer than all the rest of the message.
  if (!/["\\\]\p{Cc}]/u.test(text)) return text;
  return text.replaceAll(/["\\\]]/g, String.raw`\$&`).replaceAll(/\p{Cc}/gu, "\ufffd");
}
