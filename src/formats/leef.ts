import { isIP } from "node:net";
import type { Format } from "../format.ts";
import type { Meaning, Vocabulary } from "../vocabulary.ts";
import type { AuditEvent } from "../source.ts";
import { stringOf } from "../json/members.ts";
import { defineFormat } from "./define.ts";
import { escaper, isPlain, plainJson, safeJson } from "./escape.ts";
import { readEvent, shortenLine, writeLine, type Dialect, type Draft, type Field, type Identity } from "./fields.ts";
import { beginning } from "./shorten.ts";

/** The length limits from the guide to "QRadar Log Event Extended Format", version 2. */
const EVENT_ID_CHARS = 255;
const USER_NAME_CHARS = 255;

// The format has no escapes: characters that would end a value or a field of the header are replaced.
const inHeader = escaper({ "|": "/", "\t": " ", "\n": " ", "\r": " " });
const ATTRIBUTES: Dialect = { delimiter: "\t", escape: escaper({ "\t": " ", "\n": " ", "\r": " " }) };

/**
 * Events in QRadar's Log Event Extended Format 2.0: `LEEF:2.0|vendor|product|version|key|x09|` and attributes, with a tab
 * between them. QRadar predefines no attributes for eventId, eventName, outcome, actorId, actorType, resourceType,
 * resourceName, address (an address that is not an IP address), userAgent and details.
 */
export const leef = defineFormat({
  name: "leef",
  about: "for QRadar",
  suffix: "leef",
  contentType: "text/plain; charset=utf-8",
  lineStart: "LEEF:",
  read: (line) => readEvent(line, identityOf),
  lines: ({ vocabulary }) => linesFor(vocabulary),
});

function linesFor(vocabulary: Vocabulary): Pick<Format, "line" | "shorten"> {
  const { vendor, name, version } = vocabulary.product;
  const start = `LEEF:2.0|${inHeader(vendor)}|${inHeader(name)}|${inHeader(version)}`;

  function draftOf(event: AuditEvent): Draft {
    const kind = vocabulary.kind(event.key, event.record);
    const fields = [
      { key: "devTime", value: String(event.time), isIdentity: true },
      ...identityFields(event),
      { key: "cat", value: kind.category },
      // At least 1: QRadar does not support 0.
      { key: "sev", value: String(Math.max(1, kind.severity)) },
      { key: "eventName", value: kind.name },
      { key: "outcome", value: kind.outcome },
      ...meaningFields(vocabulary.describe(event.record)),
    ];
    const key = inHeader(beginning(event.key, EVENT_ID_CHARS, (piece) => piece.length));
    return { header: `${start}|${key}|x09|`, fields };
  }

  return {
    line: (event) => writeLine(draftOf(event), ATTRIBUTES),
    shorten: (event, maxBytes) => shortenLine(draftOf(event), ATTRIBUTES, maxBytes),
  };
}

function identityFields({ id, key }: AuditEvent): Field[] {
  const isWholeKey = isPlain(key) && !key.includes("|") && key.length <= EVENT_ID_CHARS;
  return [
    isPlain(id)
      ? { key: "eventId", value: id, isIdentity: true }
      : { key: "eventIdJson", value: plainJson(id), isIdentity: true },
    ...(isWholeKey ? [] : [{ key: "eventKeyJson", value: plainJson(key), isIdentity: true }]),
  ];
}

function meaningFields({ actor, target, address, userAgent, details }: Meaning): Field[] {
  return [
    { key: "usrName", value: actor?.name ?? actor?.id, maxChars: USER_NAME_CHARS },
    { key: "actorId", value: actor?.name === undefined ? undefined : actor.id },
    { key: "actorType", value: actor?.type },
    { key: "resource", value: target?.id },
    { key: "resourceName", value: target?.name },
    { key: "resourceType", value: target?.type },
    { key: address === undefined || isIP(address) > 0 ? "src" : "address", value: address },
    { key: "userAgent", value: userAgent },
    { key: "details", value: details && safeJson(details), isJson: true },
  ];
}

const HEADER = /^LEEF:2\.0\|(?:[^|]*\|){3}([^|]*)\|x09\|/;

function identityOf(line: string): Identity | undefined {
  const header = HEADER.exec(line);
  if (header === null) return undefined;
  const values = new Map<string, string>();
  for (const attribute of line.slice(header[0].length).split("\t")) {
    const at = attribute.indexOf("=");
    if (at > 0) values.set(attribute.slice(0, at), attribute.slice(at + 1));
  }
  const [idJson, keyJson] = [values.get("eventIdJson"), values.get("eventKeyJson")];
  return {
    id: idJson === undefined ? values.get("eventId") : stringOf(idJson),
    time: values.get("devTime"),
    key: keyJson === undefined ? header[1] : stringOf(keyJson),
  };
}
